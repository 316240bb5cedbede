// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// idle is how long a worker sleeps when nothing is due.
	idle = time.Hour
	// mountRetry is how often a volume that cannot be made is tried again.
	mountRetry = 500 * time.Millisecond
	// refreshRetry is the same for a volume that has content already.
	refreshRetry = 2 * time.Second
)

// sync takes the pod's next steps. It returns when to call it again at the
// latest, and whether nothing of the pod runs any more and it is to be deleted.
func (w *worker) sync(ctx context.Context) (next time.Duration, finished bool) {
	w.collectExits()
	if w.removed {
		return 0, true
	}
	if w.pod.DeletionTimestamp != nil {
		return w.terminate()
	}
	if w.final == "" {
		w.decideFinal()
	}
	if w.final != "" {
		return w.windDown()
	}
	if err := w.prepare(ctx); err != nil {
		w.warn("FailedMount", err.Error())
		return mountRetry, false
	}
	next = w.startDue(ctx)
	if w.refreshDue {
		next = min(next, refreshRetry)
	}
	if at, hasToken := w.volumes.NextTokenRefresh(); hasToken {
		next = min(next, max(time.Until(at), time.Second))
	}
	return next, false
}

// collectExits takes note of containers that have ended.
func (w *worker) collectExits() {
	for _, state := range w.all() {
		if state.process == nil {
			continue
		}
		exit, ended := state.process.Exit()
		if !ended {
			continue
		}
		reason := "Completed"
		if exit.Code != 0 {
			reason = "Error"
		}
		w.mu.Lock()
		state.finish(state.process.StartedAt, exit, reason, "")
		w.mu.Unlock()
		slog.Info("container ended", "pod", w.name(), "container", state.spec.Name, "code", exit.Code)
	}
}

// prepare makes sandbox and volumes, and keeps the volumes up to date.
func (w *worker) prepare(ctx context.Context) error {
	if w.sandbox == nil {
		sandbox, err := w.config.Network.Attach(string(w.pod.UID), hostname(w.pod))
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.sandbox = sandbox
		w.mu.Unlock()
		w.podIP = sandbox.IP.String()
		if err := writePodFiles(w.config, w.pod, w.dir, w.podIP); err != nil {
			return err
		}
	}
	at, hasToken := w.volumes.NextTokenRefresh()
	if w.mounted && !w.refreshDue && !(hasToken && time.Now().After(at)) {
		return nil
	}
	if err := w.volumes.Sync(ctx, w.withAddresses()); err != nil {
		if w.mounted {
			// The pod goes on with what it has, as under a kubelet.
			w.warn("FailedMount", err.Error())
			return nil
		}
		return err
	}
	w.mounted, w.refreshDue = true, false
	return nil
}

// startDue starts what may start now: init containers one after the other,
// then all others. Sidecars are kept running throughout.
func (w *worker) startDue(ctx context.Context) time.Duration {
	next := idle
	initialized := w.appsBegan()
	for _, init := range w.inits {
		if init.role == roleInit && (init.succeeded() || initialized) {
			continue
		}
		if !init.running() {
			next = min(next, w.startOne(ctx, init))
		}
		if !initialized && !(init.role == roleSidecar && init.started) {
			return next
		}
	}
	for _, app := range w.apps {
		if !app.running() && w.mayRestart(app) {
			next = min(next, w.startOne(ctx, app))
		}
	}
	return next
}

func (w *worker) appsBegan() bool {
	for _, app := range w.apps {
		if app.begun() {
			return true
		}
	}
	return false
}

// startOne starts the container if its time has come.
func (w *worker) startOne(ctx context.Context, state *containerState) time.Duration {
	if !w.mayRestart(state) {
		return idle
	}
	w.mu.Lock()
	due := state.due(time.Now(), w.pod)
	w.mu.Unlock()
	if due {
		w.startContainer(ctx, state)
		if state.running() {
			return idle
		}
	}
	return max(time.Until(state.notBefore), 10*time.Millisecond)
}

func (w *worker) mayRestart(state *containerState) bool {
	if state.terminated == nil || state.role == roleSidecar {
		return true
	}
	switch w.pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return state.terminated.ExitCode != 0
	default:
		return state.role == roleApp || state.terminated.ExitCode != 0
	}
}

// warn tells of a failure, but not again of the same one.
func (w *worker) warn(reason, message string) {
	if message == w.lastWarning {
		return
	}
	w.lastWarning = message
	slog.Warn(message, "pod", w.name(), "reason", reason)
	w.config.Recorder.Event(w.pod, corev1.EventTypeWarning, reason, message)
}

// tell records what was done to a container.
func (w *worker) tell(state *containerState, reason, did string) {
	w.config.Recorder.Event(w.pod, corev1.EventTypeNormal, reason, did+" container "+state.spec.Name)
}
