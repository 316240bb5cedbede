// SPDX-License-Identifier: GPL-3.0-or-later

package probe

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// eagerInterval is how often a probe is tried before its first success. A
// kubelet keeps to the period; the lab wants pods to become ready at once.
const eagerInterval = 200 * time.Millisecond

// Run probes the target until ctx ends, and reports each time that a threshold
// is reached: nil for success, else the reason of the last failure.
func Run(ctx context.Context, spec *corev1.Probe, target *Target, report func(error)) {
	period := seconds(spec.PeriodSeconds, 10)
	successThreshold, failureThreshold := max(spec.SuccessThreshold, 1), max(spec.FailureThreshold, 1)
	if spec.FailureThreshold == 0 {
		failureThreshold = 3
	}
	if !sleep(ctx, time.Duration(spec.InitialDelaySeconds)*time.Second) {
		return
	}
	var successes, failures int32
	succeededOnce := false
	var nextCounted time.Time
	for {
		err := target.once(ctx, spec)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		switch {
		case err == nil:
			succeededOnce = true
			failures = 0
			if successes++; successes >= successThreshold {
				report(nil)
			}
		case succeededOnce || !now.Before(nextCounted):
			// Of eager attempts only one per period counts as a failure.
			nextCounted = now.Add(period)
			successes = 0
			if failures++; failures >= failureThreshold {
				report(err)
			}
		}
		pause := period
		if !succeededOnce {
			pause = min(period, eagerInterval)
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

func (t *Target) once(ctx context.Context, spec *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(spec.TimeoutSeconds, 1))
	defer cancel()
	return t.check(ctx, spec.ProbeHandler)
}

func seconds(value int32, byDefault int32) time.Duration {
	if value == 0 {
		value = byDefault
	}
	return time.Duration(value) * time.Second
}

// sleep returns false when ctx has ended.
func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
