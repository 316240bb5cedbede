// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// minimumGrace is what a sidecar gets when others used the grace period up.
const minimumGrace = 2 * time.Second

// decideFinal sets the final phase of a pod whose containers are all done.
func (w *worker) decideFinal() {
	for _, init := range w.inits {
		if init.role == roleInit && init.terminated != nil && !init.succeeded() && !w.mayRestart(init) {
			w.final = corev1.PodFailed
			return
		}
	}
	failed := false
	for _, app := range w.apps {
		if app.terminated == nil || w.mayRestart(app) {
			return
		}
		failed = failed || app.terminated.ExitCode != 0
	}
	w.final = corev1.PodSucceeded
	if failed {
		w.final = corev1.PodFailed
	}
}

// windDown stops the sidecars of a pod that has done its work, and waits for
// its deletion.
func (w *worker) windDown() (time.Duration, bool) {
	for _, state := range w.all() {
		if state.running() {
			w.stop(state, w.grace())
		}
	}
	if w.runningCount() == 0 {
		if err := w.releaseSandbox(); err != nil {
			slog.Warn("cannot take pod off the network", "pod", w.name(), "error", err)
		}
	}
	return idle, false
}

// terminate ends the pod: first the containers of its own, then the sidecars,
// all within the grace period.
func (w *worker) terminate() (time.Duration, bool) {
	if w.killBy.IsZero() {
		w.killBy = time.Now().Add(w.grace())
	}
	remaining := max(time.Until(w.killBy), minimumGrace)
	if w.grace() == 0 {
		remaining = 0
	}
	last := w.apps
	for _, init := range w.inits {
		if init.role == roleInit {
			last = append([]*containerState{init}, last...)
		}
	}
	running := false
	for _, state := range last {
		if state.running() {
			running = true
			w.stop(state, remaining)
		}
	}
	if running {
		return idle, false
	}
	for i := len(w.inits) - 1; i >= 0; i-- {
		if w.inits[i].running() {
			w.stop(w.inits[i], remaining)
			return idle, false
		}
	}
	if w.final == "" {
		w.decideFinalOnDeletion()
	}
	w.status.submit(w.snapshot())
	return 0, true
}

// decideFinalOnDeletion: a deleted pod has failed if one of its containers has.
func (w *worker) decideFinalOnDeletion() {
	w.final = corev1.PodSucceeded
	for _, app := range w.apps {
		if app.terminated == nil || app.terminated.ExitCode != 0 {
			w.final = corev1.PodFailed
		}
	}
}

func (w *worker) grace() time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if given := w.pod.Spec.TerminationGracePeriodSeconds; given != nil {
		seconds = *given
	}
	if given := w.pod.DeletionGracePeriodSeconds; given != nil {
		seconds = *given
	}
	return time.Duration(seconds) * time.Second
}

func (w *worker) runningCount() int {
	count := 0
	for _, state := range w.all() {
		if state.running() {
			count++
		}
	}
	return count
}
