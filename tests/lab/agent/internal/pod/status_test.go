// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"meshops.example/lab/agent/internal/container"
)

func conditionOf(status corev1.PodStatus, kind corev1.PodConditionType) corev1.PodCondition {
	for _, condition := range status.Conditions {
		if condition.Type == kind {
			return condition
		}
	}
	return corev1.PodCondition{}
}

// snapshotAt returns the states of a pod with an init container, a sidecar and
// an app that have got as far as told.
func snapshotAt(setupDone, proxyStarted, mainReady bool) *snapshot {
	inits, apps := newContainerStates(testPod())
	runs := &container.Process{StartedAt: time.Now()}
	if setupDone {
		crash(inits[0], time.Now(), time.Second, 0)
	}
	if proxyStarted {
		inits[1].countStart()
		inits[1].begin(runs, "meshlab://proxy")
	}
	if mainReady {
		apps[0].countStart()
		apps[0].begin(runs, "meshlab://main")
	}
	return &snapshot{inits: inits, apps: apps, hostIP: "10.9.0.1", podIP: "10.9.1.2", startTime: metav1.Now(), sandboxed: true}
}

func TestPhaseAndConditions(t *testing.T) {
	for name, test := range map[string]struct {
		snapshot           *snapshot
		phase              corev1.PodPhase
		initialized, ready corev1.ConditionStatus
	}{
		"new":             {snapshotAt(false, false, false), corev1.PodPending, "False", "False"},
		"setup done":      {snapshotAt(true, false, false), corev1.PodPending, "False", "False"},
		"sidecar started": {snapshotAt(true, true, false), corev1.PodPending, "True", "False"},
		"all":             {snapshotAt(true, true, true), corev1.PodRunning, "True", "True"},
	} {
		status := test.snapshot.status(testPod())
		if status.Phase != test.phase {
			t.Errorf("%s: phase %s, want %s", name, status.Phase, test.phase)
		}
		if got := conditionOf(status, corev1.PodInitialized).Status; got != test.initialized {
			t.Errorf("%s: Initialized %s, want %s", name, got, test.initialized)
		}
		if got := conditionOf(status, corev1.PodReady).Status; got != test.ready {
			t.Errorf("%s: Ready %s, want %s", name, got, test.ready)
		}
	}
}

func TestUnreadySidecarMakesThePodUnready(t *testing.T) {
	s := snapshotAt(true, true, true)
	s.inits[1].ready = false
	ready := conditionOf(s.status(testPod()), corev1.PodReady)
	if ready.Status != corev1.ConditionFalse || ready.Message != "containers with unready status: [proxy]" {
		t.Errorf("got %+v", ready)
	}
}

func TestTransitionTimeStaysWhileStatusStays(t *testing.T) {
	base := testPod()
	base.Status = snapshotAt(true, true, true).status(base)
	long := metav1.NewTime(time.Now().Add(-time.Hour))
	for i := range base.Status.Conditions {
		base.Status.Conditions[i].LastTransitionTime = long
	}
	after := snapshotAt(true, true, false).status(base)
	if got := conditionOf(after, corev1.PodInitialized).LastTransitionTime; got != long {
		t.Errorf("time of Initialized moved to %v", got)
	}
	if got := conditionOf(after, corev1.PodReady).LastTransitionTime; got == long {
		t.Error("time of Ready did not move")
	}
}

// write has the snapshot written, and returns the patches that were sent.
func write(t *testing.T, base *corev1.Pod, snapshots ...*snapshot) (*fake.Clientset, []map[string]any) {
	t.Helper()
	client := fake.NewClientset(base)
	writer := newStatusWriter(client, base)
	for _, s := range snapshots {
		if err := writer.write(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	var patches []map[string]any
	for _, action := range client.Actions() {
		patch, is := action.(clienttesting.PatchAction)
		if !is || patch.GetSubresource() != "status" || patch.GetPatchType() != types.StrategicMergePatchType {
			t.Fatalf("unexpected request %v", action)
		}
		var content map[string]any
		if err := json.Unmarshal(patch.GetPatch(), &content); err != nil {
			t.Fatal(err)
		}
		patches = append(patches, content)
	}
	return client, patches
}

func TestStatusPatchLeavesOthersAlone(t *testing.T) {
	base := testPod()
	base.Status.QOSClass = corev1.PodQOSBurstable
	base.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	client, patches := write(t, base, snapshotAt(true, true, true))
	if len(patches) != 1 {
		t.Fatalf("%d patches, want 1", len(patches))
	}
	if uid := patches[0]["metadata"].(map[string]any)["uid"]; uid != "u" {
		t.Errorf("the patch is for uid %v, want u", uid)
	}
	if _, touched := patches[0]["status"].(map[string]any)["qosClass"]; touched {
		t.Error("the patch holds a field that did not change")
	}
	pod, err := client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if conditionOf(pod.Status, corev1.PodScheduled).Status != corev1.ConditionTrue {
		t.Error("the scheduler's condition is lost")
	}
	if pod.Status.PodIP != "10.9.1.2" || conditionOf(pod.Status, corev1.PodReady).Status != corev1.ConditionTrue {
		t.Errorf("got %+v", pod.Status)
	}
}

func TestUnchangedStatusIsNotWritten(t *testing.T) {
	s := snapshotAt(true, true, true)
	if _, patches := write(t, testPod(), s, s); len(patches) != 1 {
		t.Errorf("%d patches for the same status, want 1", len(patches))
	}
}

func TestWriterSkipsToTheNewest(t *testing.T) {
	client := fake.NewClientset(testPod())
	writer := newStatusWriter(client, testPod())
	writer.submit(snapshotAt(false, false, false))
	writer.submit(snapshotAt(true, true, true))
	go writer.run(t.Context())
	writer.finish()
	if count := len(client.Actions()); count != 1 {
		t.Errorf("%d writes, want only the newest", count)
	}
	if got := writer.known().Status.Phase; got != corev1.PodRunning {
		t.Errorf("phase %s, want Running", got)
	}
}

func TestWhatOthersChangeIsRepaired(t *testing.T) {
	pod := testPod()
	pod.ResourceVersion = "9"
	client := fake.NewClientset(pod)
	writer := newStatusWriter(client, pod)
	ready := snapshotAt(true, true, true)
	if err := writer.write(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	changed := writer.known().DeepCopy()
	changed.ResourceVersion = "10"
	for i := range changed.Status.Conditions {
		changed.Status.Conditions[i].Status = corev1.ConditionFalse
	}
	old := pod.DeepCopy()
	old.ResourceVersion = "8"
	writer.observe(changed)
	writer.observe(old)
	if writer.known() != changed {
		t.Fatal("an old version of the pod replaces a newer one")
	}
	if err := writer.write(t.Context(), ready); err != nil {
		t.Fatal(err)
	}
	if count := len(client.Actions()); count != 2 {
		t.Errorf("%d writes, want a second one", count)
	}
}
