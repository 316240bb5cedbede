// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"meshops.example/lab/agent/internal/network"
	"meshops.example/lab/agent/internal/volume"
)

// worker runs one pod. A single goroutine owns the state: it compares what the
// pod should be with what it is, takes the next steps, reports the status, and
// sleeps until something happens.
type worker struct {
	config  *Config
	dir     string
	events  chan func()
	wake    chan struct{}
	status  *statusWriter
	volumes *volume.Set
	ended   chan struct{}

	// mu guards the fields below: the worker writes under it, others read under it.
	mu          sync.Mutex
	pod         *corev1.Pod
	sandbox     *network.Sandbox
	inits, apps []*containerState

	// inbox is what others want the worker to know, guarded by mu.
	inbox struct {
		pod     *corev1.Pod // newest version
		refresh bool        // read the volumes again
		removed bool        // the API server does not know the pod any more
	}

	// Below: the worker's alone.
	startTime    metav1.Time
	podIP        string // stays in the status when the sandbox is gone
	mounted      bool
	refreshDue   bool
	removed      bool
	final        corev1.PodPhase
	finalReason  string
	finalMessage string
	lastWarning  string
	killBy       time.Time // when the grace period of a deletion ends
}

func newWorker(config *Config, pod *corev1.Pod) *worker {
	dir := filepath.Join(config.podsDir(), string(pod.UID))
	w := &worker{
		config:    config,
		dir:       dir,
		pod:       pod,
		events:    make(chan func()),
		wake:      make(chan struct{}, 1),
		status:    newStatusWriter(config.Client, pod),
		volumes:   volume.NewSet(config.Client, config.Capacity, filepath.Join(dir, "volumes")),
		ended:     make(chan struct{}),
		startTime: metav1.Now(),
		podIP:     pod.Status.PodIP,
	}
	w.inbox.pod = pod
	w.inits, w.apps = newContainerStates(pod)
	for _, known := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if state := w.find(known.Name); state != nil {
			state.resume(known)
		}
	}
	if pod.Status.StartTime != nil {
		w.startTime = *pod.Status.StartTime
	}
	if phase := pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		w.final, w.finalReason, w.finalMessage = phase, pod.Status.Reason, pod.Status.Message
	}
	return w
}

// run works until the pod is gone, or until ctx ends: then it kills the pod's
// processes and leaves the API server's object as it is.
func (w *worker) run(ctx context.Context) {
	defer close(w.ended)
	go w.status.run(ctx)
	for {
		next, finished := w.sync(ctx)
		if finished || ctx.Err() != nil {
			break
		}
		w.status.submit(w.snapshot())
		w.sleep(ctx, next)
	}
	w.status.finish()
	w.killAll()
	if err := w.cleanUp(); err != nil {
		slog.Warn("cannot clean up pod", "pod", w.name(), "error", err)
	}
	if ctx.Err() == nil && !w.removed {
		w.deleteObject(ctx)
	}
}

// sleep waits for an event or until the pause is over, and empties the inbox.
func (w *worker) sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.wake:
	case event := <-w.events:
		event()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pod = w.inbox.pod
	w.refreshDue = w.refreshDue || w.inbox.refresh
	w.removed = w.inbox.removed
	w.inbox.refresh = false
}

// post hands an event to the worker's goroutine, and waits until it is taken.
func (w *worker) post(event func()) {
	select {
	case w.events <- event:
	case <-w.ended:
	}
}

// update takes a new version of the pod's object.
func (w *worker) update(pod *corev1.Pod) {
	w.status.observe(pod)
	w.mu.Lock()
	w.inbox.pod = pod
	// Labels and annotations may be in a downward API volume.
	w.inbox.refresh = true
	w.mu.Unlock()
	w.wakeUp()
}

// refresh has the pod's volumes read again.
func (w *worker) refresh() {
	w.mu.Lock()
	w.inbox.refresh = true
	w.mu.Unlock()
	w.wakeUp()
}

// remove ends the pod whose object is gone.
func (w *worker) remove() {
	w.mu.Lock()
	w.inbox.removed = true
	w.mu.Unlock()
	w.wakeUp()
}

func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) snapshot() *snapshot {
	s := &snapshot{
		inits:        copyStates(w.inits),
		apps:         copyStates(w.apps),
		hostIP:       w.config.NodeIP,
		podIP:        w.podIP,
		startTime:    w.startTime,
		sandboxed:    w.sandbox != nil,
		final:        w.final,
		finalReason:  w.finalReason,
		finalMessage: w.finalMessage,
	}
	return s
}

func (w *worker) all() []*containerState {
	return append(append([]*containerState{}, w.inits...), w.apps...)
}

func (w *worker) find(name string) *containerState {
	for _, state := range w.all() {
		if state.spec.Name == name {
			return state
		}
	}
	return nil
}

func (w *worker) name() string { return w.pod.Namespace + "/" + w.pod.Name }

func (w *worker) killAll() {
	for _, state := range w.all() {
		if state.process != nil {
			state.process.Stop(0)
		}
	}
}

// cleanUp removes what the pod has on the machine.
func (w *worker) cleanUp() error {
	return errors.Join(w.releaseSandbox(), os.RemoveAll(w.dir))
}

func (w *worker) releaseSandbox() error {
	if w.sandbox == nil {
		return nil
	}
	w.mu.Lock()
	sandbox := w.sandbox
	w.sandbox = nil
	w.mu.Unlock()
	return sandbox.Close()
}

// deleteObject tells the API server that nothing of the pod is left.
func (w *worker) deleteObject(ctx context.Context) {
	now := int64(0)
	options := metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(w.pod.UID))}
	err := retry(ctx, func() error {
		err := w.config.Client.CoreV1().Pods(w.pod.Namespace).Delete(ctx, w.pod.Name, options)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	if err != nil {
		slog.Warn("cannot delete pod object", "pod", w.name(), "error", err)
	}
}

// retry repeats what fails, until it succeeds or ctx ends.
func retry(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}
