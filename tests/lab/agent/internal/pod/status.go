// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// snapshot is what a pod's status is made of, at one moment.
type snapshot struct {
	inits, apps []*containerState
	hostIP      string
	podIP       string
	startTime   metav1.Time
	sandboxed   bool
	// final is the phase of a pod that runs no more, with its reason; empty before.
	final        corev1.PodPhase
	finalReason  string
	finalMessage string
}

// copyStates makes copies that the worker no longer changes. What their fields
// point to is only ever replaced, never changed.
func copyStates(states []*containerState) []*containerState {
	copies := make([]*containerState, 0, len(states))
	for _, state := range states {
		copied := *state
		copies = append(copies, &copied)
	}
	return copies
}

// status returns what the agent has to say on top of the base, the pod as the
// API server last showed it. Conditions of others stay as they are.
func (s *snapshot) status(base *corev1.Pod) corev1.PodStatus {
	status := *base.Status.DeepCopy()
	status.ObservedGeneration = base.Generation
	status.Phase = s.phase()
	status.Reason, status.Message = s.finalReason, s.finalMessage
	status.HostIP = s.hostIP
	status.HostIPs = []corev1.HostIP{{IP: s.hostIP}}
	status.StartTime = &s.startTime
	status.PodIP, status.PodIPs = s.podIP, nil
	if s.podIP != "" {
		status.PodIPs = []corev1.PodIP{{IP: s.podIP}}
	}
	status.InitContainerStatuses = containerStatuses(s.inits)
	status.ContainerStatuses = containerStatuses(s.apps)
	s.setConditions(base, &status)
	return status
}

// phase follows the kubelet's rules: Pending until each container has run once.
func (s *snapshot) phase() corev1.PodPhase {
	if s.final != "" {
		return s.final
	}
	if !s.initialized() {
		return corev1.PodPending
	}
	for _, app := range s.apps {
		if !app.begun() {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

func (s *snapshot) initialized() bool {
	for _, app := range s.apps {
		if app.begun() {
			return true
		}
	}
	for _, init := range s.inits {
		if init.role == roleInit && !init.succeeded() || init.role == roleSidecar && !init.started {
			return false
		}
	}
	return true
}

func (s *snapshot) setConditions(base *corev1.Pod, status *corev1.PodStatus) {
	notReady := ""
	for _, container := range append(sidecars(s.inits), s.apps...) {
		if !container.ready {
			notReady += " " + container.spec.Name
		}
	}
	reason, message := "", ""
	switch {
	case s.final == corev1.PodSucceeded:
		reason = "PodCompleted"
	case s.final == corev1.PodFailed:
		reason = "PodFailed"
	case notReady != "":
		reason, message = "ContainersNotReady", "containers with unready status: ["+notReady[1:]+"]"
	}
	containersReady := reason == ""
	setCondition(base, status, corev1.PodReadyToStartContainers, s.sandboxed, "", "")
	initialized := s.initialized() || s.final == corev1.PodSucceeded
	initReason := ""
	if !initialized {
		initReason = "ContainersNotInitialized"
	}
	setCondition(base, status, corev1.PodInitialized, initialized, initReason, "")
	setCondition(base, status, corev1.ContainersReady, containersReady, reason, message)
	setCondition(base, status, corev1.PodReady, containersReady, reason, message)
}

func setCondition(base *corev1.Pod, status *corev1.PodStatus, kind corev1.PodConditionType, isTrue bool, reason, message string) {
	condition := corev1.PodCondition{
		Type:               kind,
		ObservedGeneration: base.Generation,
		Status:             corev1.ConditionFalse,
		Reason:             reason,
		Message:            message,
		LastTransitionTime: metav1.Now(),
	}
	if isTrue {
		condition.Status = corev1.ConditionTrue
	}
	for i, existing := range status.Conditions {
		if existing.Type == kind {
			if existing.Status == condition.Status {
				condition.LastTransitionTime = existing.LastTransitionTime
			}
			status.Conditions[i] = condition
			return
		}
	}
	status.Conditions = append(status.Conditions, condition)
}

func sidecars(inits []*containerState) []*containerState {
	var result []*containerState
	for _, init := range inits {
		if init.role == roleSidecar {
			result = append(result, init)
		}
	}
	return result
}

func containerStatuses(states []*containerState) []corev1.ContainerStatus {
	statuses := make([]corev1.ContainerStatus, 0, len(states))
	for _, state := range states {
		statuses = append(statuses, state.status())
	}
	return statuses
}

func (c *containerState) status() corev1.ContainerStatus {
	started := c.started && c.running()
	status := corev1.ContainerStatus{
		Name:         c.spec.Name,
		Image:        c.spec.Image,
		RestartCount: c.restarts,
		ContainerID:  c.id,
		Ready:        c.ready && c.running() || c.role == roleInit && c.succeeded(),
		Started:      &started,
	}
	if c.id != "" {
		status.ImageID = c.spec.Image
	}
	switch {
	case c.process != nil:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.process.StartedAt)}
	case c.terminated != nil:
		status.State.Terminated = c.terminated.DeepCopy()
	default:
		status.State.Waiting = c.waiting.DeepCopy()
	}
	if c.last != nil {
		status.LastTerminationState.Terminated = c.last.DeepCopy()
	}
	return status
}
