// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
)

func always() *corev1.ContainerRestartPolicy {
	policy := corev1.ContainerRestartPolicyAlways
	return &policy
}

func testPod() *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Namespace, pod.Name, pod.UID = "ns", "p", "u"
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod.Spec.InitContainers = []corev1.Container{{Name: "setup"}, {Name: "proxy", RestartPolicy: always()}}
	pod.Spec.Containers = []corev1.Container{{Name: "main"}}
	return pod
}

// crash lets a run of the container end at the given time.
func crash(state *containerState, at time.Time, ran time.Duration, code int) {
	state.countStart()
	state.finish(at.Add(-ran), container.Exit{Code: code, At: at}, "Error", "")
}

func TestRestartDelayGrows(t *testing.T) {
	now := time.Now()
	state := &containerState{spec: &corev1.Container{Name: "main"}}
	for restart, want := range []time.Duration{0, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 300 * time.Second, 300 * time.Second} {
		crash(state, now, time.Second, 1)
		if got := state.notBefore.Sub(now); got != want {
			t.Errorf("delay after end %d: %v, want %v", restart, got, want)
		}
		if state.restarts != int32(restart) {
			t.Errorf("restart count %d, want %d", state.restarts, restart)
		}
	}
	crash(state, now, 11*time.Minute, 1)
	if got := state.notBefore.Sub(now); got != 0 {
		t.Errorf("delay after a long run: %v, want none", got)
	}
}

func TestWaitingForRestartIsShown(t *testing.T) {
	now := time.Now()
	state := &containerState{spec: &corev1.Container{Name: "main"}}
	crash(state, now, time.Second, 1)
	if !state.due(now, testPod()) {
		t.Error("the first restart must not wait")
	}
	crash(state, now, time.Second, 3)
	if state.due(now, testPod()) {
		t.Fatal("the second restart must wait")
	}
	status := state.status()
	if waiting := status.State.Waiting; waiting == nil || waiting.Reason != "CrashLoopBackOff" || !strings.Contains(waiting.Message, "back-off 10s") {
		t.Errorf("got %+v, want CrashLoopBackOff of 10s", waiting)
	}
	if last := status.LastTerminationState.Terminated; last == nil || last.ExitCode != 3 {
		t.Errorf("got last state %+v, want exit code 3", last)
	}
	if !state.due(now.Add(10*time.Second), testPod()) {
		t.Error("the restart is not due when the delay is over")
	}
}

func TestHeldContainerKeepsItsLastEnd(t *testing.T) {
	state := &containerState{spec: &corev1.Container{Name: "main"}}
	crash(state, time.Now(), time.Second, 2)
	state.hold("CreateContainerConfigError", `secret "x" not found`, time.Minute)
	status := state.status()
	if status.State.Waiting == nil || status.State.Waiting.Reason != "CreateContainerConfigError" || status.LastTerminationState.Terminated.ExitCode != 2 {
		t.Errorf("got %+v", status)
	}
	if state.due(time.Now(), testPod()) {
		t.Error("the next attempt must wait")
	}
}

func TestResumeCountsTheLostRun(t *testing.T) {
	state := &containerState{spec: &corev1.Container{Name: "main"}}
	state.resume(corev1.ContainerStatus{
		Name: "main", ContainerID: "meshlab://1", RestartCount: 4,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	})
	if state.begun() {
		t.Error("a run under an earlier agent counts as one under this")
	}
	state.countStart()
	if status := state.status(); status.RestartCount != 5 || status.LastTerminationState.Terminated.ExitCode != 137 {
		t.Errorf("got %+v, want restart 5 after code 137", status)
	}
}

func TestRoles(t *testing.T) {
	inits, apps := newContainerStates(testPod())
	if len(inits) != 2 || inits[0].role != roleInit || inits[1].role != roleSidecar || len(apps) != 1 || apps[0].role != roleApp {
		t.Errorf("got %v, %v", inits, apps)
	}
	if reason := apps[0].waiting.Reason; reason != "PodInitializing" {
		t.Errorf("got reason %s, want PodInitializing", reason)
	}
}
