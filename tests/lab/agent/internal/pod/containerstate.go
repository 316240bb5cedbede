// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"meshops.example/lab/agent/internal/container"
)

// Kubernetes' limits of the delay between restarts.
const (
	firstBackOff = 10 * time.Second
	maxBackOff   = 300 * time.Second
	// backOffReset is how long a container must run for the delay to start anew.
	backOffReset = 10 * time.Minute
)

// role is what a container is to its pod.
type role int

const (
	roleInit    role = iota // runs once before the next starts
	roleSidecar             // init container with restartPolicy Always
	roleApp
)

// containerState is all that the agent knows of one container of a pod.
type containerState struct {
	spec *corev1.Container
	role role
	id   string

	// process is nil before the first start and while a restart is due.
	process  *container.Process
	runs     int // starts by this agent
	restarts int32
	// waiting says why no process runs and none has ended just now.
	waiting *corev1.ContainerStateWaiting
	// terminated is the current run's end, last that of the run before.
	terminated *corev1.ContainerStateTerminated
	last       *corev1.ContainerStateTerminated

	started    bool // the startup probe, if any, has passed
	ready      bool
	stopping   bool
	stopProbes context.CancelFunc

	delay     time.Duration // between the latest end and the next start
	backOff   time.Duration // the delay after the next end; 0 before the first end
	notBefore time.Time     // when the next start is due
}

// newContainerStates returns the init containers in order, and the others.
func newContainerStates(pod *corev1.Pod) (inits, apps []*containerState) {
	reason := "ContainerCreating"
	if len(pod.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	waiting := &corev1.ContainerStateWaiting{Reason: reason}
	for i := range pod.Spec.InitContainers {
		spec := &pod.Spec.InitContainers[i]
		kind := roleInit
		if spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			kind = roleSidecar
		}
		inits = append(inits, &containerState{spec: spec, role: kind, waiting: waiting})
	}
	for i := range pod.Spec.Containers {
		apps = append(apps, &containerState{spec: &pod.Spec.Containers[i], role: roleApp, waiting: waiting})
	}
	return inits, apps
}

// resume continues the count of an earlier agent, whose processes are gone.
func (c *containerState) resume(status corev1.ContainerStatus) {
	if status.ContainerID == "" {
		return
	}
	c.id = status.ContainerID
	c.restarts = status.RestartCount
	c.last = status.State.Terminated
	if c.last == nil {
		c.last = &corev1.ContainerStateTerminated{
			ExitCode:    137,
			Reason:      "ContainerStatusUnknown",
			Message:     "The node agent was restarted.",
			ContainerID: status.ContainerID,
			FinishedAt:  metav1.Now(),
		}
	}
	if status.State.Running != nil {
		c.last.StartedAt = status.State.Running.StartedAt
	}
}

func (c *containerState) running() bool { return c.process != nil }

// begun tells whether the container has run in the pod's present sandbox.
func (c *containerState) begun() bool { return c.runs > 0 }

// succeeded tells whether the latest run ended well and none is due.
func (c *containerState) succeeded() bool {
	return c.process == nil && c.terminated != nil && c.terminated.ExitCode == 0
}

// begin records a start.
func (c *containerState) begin(process *container.Process, id string) {
	c.process, c.id = process, id
	if c.terminated != nil {
		c.last = c.terminated
	}
	c.terminated, c.waiting = nil, nil
	c.started = c.spec.StartupProbe == nil
	c.ready = c.started && c.spec.ReadinessProbe == nil
	c.stopping = false
}

// finish records an end, and when the next start would be due.
func (c *containerState) finish(startedAt time.Time, exit container.Exit, reason, message string) {
	if c.stopProbes != nil {
		c.stopProbes()
		c.stopProbes = nil
	}
	c.process, c.waiting = nil, nil
	c.started, c.ready = false, false
	c.terminated = &corev1.ContainerStateTerminated{
		ExitCode:    int32(exit.Code),
		Signal:      int32(exit.Signal),
		Reason:      reason,
		Message:     message,
		StartedAt:   metav1.NewTime(startedAt),
		FinishedAt:  metav1.NewTime(exit.At),
		ContainerID: c.id,
	}
	// The first restart is immediate, as a kubelet does it.
	switch {
	case c.backOff == 0 || exit.At.Sub(startedAt) > backOffReset:
		c.delay, c.backOff = 0, firstBackOff
	default:
		c.delay, c.backOff = c.backOff, min(2*c.backOff, maxBackOff)
	}
	c.notBefore = exit.At.Add(c.delay)
}

// due tells whether a start may happen now, and otherwise shows the container
// as waiting for its restart.
func (c *containerState) due(now time.Time, pod *corev1.Pod) bool {
	if !now.Before(c.notBefore) {
		return true
	}
	if c.terminated != nil {
		c.last, c.terminated = c.terminated, nil
		c.waiting = &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				c.delay, c.spec.Name, pod.Name, pod.Namespace, pod.UID),
		}
	}
	return false
}

// countStart is called right before a start.
func (c *containerState) countStart() {
	if c.terminated != nil || c.last != nil {
		c.restarts++
	}
	c.runs++
}

// hold shows why the container cannot start, and when it is tried again.
func (c *containerState) hold(reason, message string, retry time.Duration) {
	c.waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	if c.terminated != nil {
		c.last, c.terminated = c.terminated, nil
	}
	c.notBefore = time.Now().Add(retry)
}
