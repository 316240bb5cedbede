// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"fmt"
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
		if err := writePodFiles(w.config, w.pod, w.dir, sandbox.IP.String()); err != nil {
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

// minimumGrace is what a sidecar gets when others used the grace period up.
const minimumGrace = 2 * time.Second

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

// warn tells of a failure, but not again of the same one.
func (w *worker) warn(reason, message string) {
	if message == w.lastWarning {
		return
	}
	w.lastWarning = message
	slog.Warn(message, "pod", w.name(), "reason", reason)
	w.config.Recorder.Event(w.pod, corev1.EventTypeWarning, reason, message)
}

func (w *worker) normal(state *containerState, reason, format string, args ...any) {
	w.config.Recorder.Event(w.pod, corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...)+" container "+state.spec.Name)
}
