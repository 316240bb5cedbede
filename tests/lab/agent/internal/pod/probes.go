// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/probe"
)

// startProbes starts the startup probe, or what comes after it.
func (w *worker) startProbes(ctx context.Context, state *containerState) {
	probing, cancel := context.WithCancel(ctx)
	state.stopProbes = cancel
	if state.spec.StartupProbe == nil {
		w.startLaterProbes(probing, state)
		return
	}
	startup, passed := context.WithCancel(probing)
	w.startProbe(startup, state, state.spec.StartupProbe, func(failure error) {
		if failure != nil {
			w.fail(state, "Startup", failure)
			return
		}
		passed()
		w.mu.Lock()
		state.started = true
		state.ready = state.spec.ReadinessProbe == nil
		w.mu.Unlock()
		w.startLaterProbes(probing, state)
	})
}

func (w *worker) startLaterProbes(ctx context.Context, state *containerState) {
	w.startProbe(ctx, state, state.spec.LivenessProbe, func(failure error) {
		if failure != nil {
			w.fail(state, "Liveness", failure)
		}
	})
	w.startProbe(ctx, state, state.spec.ReadinessProbe, func(failure error) {
		if failure != nil {
			w.warn("Unhealthy", "Readiness probe failed: "+failure.Error())
		}
		w.mu.Lock()
		state.ready = failure == nil
		w.mu.Unlock()
	})
}

// startProbe runs the probe, if there is one, and handles its results in the
// worker's goroutine as long as this run of the container lasts.
func (w *worker) startProbe(ctx context.Context, state *containerState, spec *corev1.Probe, handle func(error)) {
	if spec == nil {
		return
	}
	process := state.process
	target := &probe.Target{
		IP:    w.sandbox.IP.String(),
		Ports: state.spec.Ports,
		Exec: func(ctx context.Context, command []string) error {
			return process.Exec(ctx, command, container.Streams{})
		},
	}
	go probe.Run(ctx, spec, target, func(failure error) {
		w.post(func() {
			if state.process == process && !state.stopping && ctx.Err() == nil {
				handle(failure)
			}
		})
	})
}

// fail ends a container that a probe found unhealthy; its restart follows.
func (w *worker) fail(state *containerState, probe string, failure error) {
	w.warn("Unhealthy", fmt.Sprintf("%s probe failed: %v", probe, failure))
	w.stop(state, w.grace())
}
