// SPDX-License-Identifier: GPL-3.0-or-later

//go:build lab

package pod

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/env"
	"meshops.example/lab/agent/internal/images"
	"meshops.example/lab/agent/internal/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m, container.InitCommand, container.RunInit) }

// lab is a manager of pods with an API server that is not real.
type lab struct {
	*Manager
	client *fake.Clientset
	stop   context.CancelFunc
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "images.json"), []byte(`{"shell": {"entrypoint": ["sh", "-c"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset()
	ctx, cancel := context.WithCancel(context.Background())
	manager := NewManager(ctx, &Config{
		Client:   client,
		Recorder: record.NewFakeRecorder(1000),
		Network:  labtest.Network(t),
		Images:   images.NewTable(filepath.Join(dir, "images.json")),
		Env: &env.Builder{Client: client, Services: func(string) ([]*corev1.Service, error) {
			return nil, nil
		}},
		StateDir: dir, NodeIP: labtest.NodeIP, ClusterDNS: "10.96.0.10", ClusterDomain: "cluster.local",
	})
	t.Cleanup(func() {
		cancel()
		manager.Wait()
	})
	return &lab{Manager: manager, client: client, stop: cancel}
}

func shell(name, script string) corev1.Container {
	return corev1.Container{Name: name, Image: "shell", Args: []string{script}}
}

// begin creates the pod and hands it to the manager.
func (l *lab) begin(t *testing.T, spec corev1.PodSpec) *corev1.Pod {
	t.Helper()
	grace := int64(5)
	spec.TerminationGracePeriodSeconds = &grace
	if spec.RestartPolicy == "" {
		spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: spec}
	created, err := l.client.CoreV1().Pods("ns").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Set(created)
	return created
}

func (l *lab) status(t *testing.T) corev1.PodStatus {
	t.Helper()
	pod, err := l.client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod.Status
}

// await waits until the pod's status satisfies the condition.
func (l *lab) await(t *testing.T, what string, holds func(corev1.PodStatus) bool) corev1.PodStatus {
	t.Helper()
	for range 200 {
		if status := l.status(t); holds(status) {
			return status
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not %s: %+v", what, l.status(t))
	return corev1.PodStatus{}
}

func isReady(status corev1.PodStatus) bool {
	return conditionOf(status, corev1.PodReady).Status == corev1.ConditionTrue
}

func (l *lab) log(t *testing.T, name string, previous bool) string {
	t.Helper()
	var text strings.Builder
	if err := l.Logs(t.Context(), "ns", "p", name, previous, container.LogOptions{}, &text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

const sidecarScript = `trap 'echo end >> /shared/order; exit 0' TERM; sleep 0.2; touch /shared/up; while :; do sleep 0.05; done`

func orderedPod() corev1.PodSpec {
	shared := []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	setup := shell("setup", "echo setup >> /shared/order")
	sidecar := shell("sidecar", sidecarScript)
	sidecar.RestartPolicy = always()
	sidecar.StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 10, ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"ls", "/shared/up"}},
	}}
	main := shell("main", `trap 'sleep 0.3; echo main-end >> /shared/order; exit 0' TERM; ls /shared/up; echo main >> /shared/order; while :; do sleep 0.05; done`)
	// Ready is who has come as far as its loop.
	main.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"grep", "-q", "main", "/shared/order"}},
	}}
	setup.VolumeMounts, sidecar.VolumeMounts, main.VolumeMounts = shared, shared, shared
	return corev1.PodSpec{
		InitContainers: []corev1.Container{setup, sidecar},
		Containers:     []corev1.Container{main},
		Volumes:        []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
}

func TestContainersStartAndEndInOrder(t *testing.T) {
	l := newLab(t)
	pod := l.begin(t, orderedPod())
	status := l.await(t, "ready", isReady)
	if got := l.log(t, "main", false); got != "/shared/up\n" {
		t.Errorf("main found %q: it started before the sidecar's startup probe passed", got)
	}
	if !strings.HasPrefix(status.PodIP, "10.29.1.") || status.Phase != corev1.PodRunning {
		t.Errorf("got address %q, phase %s", status.PodIP, status.Phase)
	}
	found, err := l.find("ns", "p")
	if err != nil {
		t.Fatal(err)
	}
	// A hard link survives the pod's directory.
	kept := filepath.Join(l.config.StateDir, "order")
	if err := os.Link(filepath.Join(found.dir, "volumes/shared/order"), kept); err != nil {
		t.Fatal(err)
	}
	deleted := pod.DeepCopy()
	now, grace := metav1.Now(), int64(5)
	deleted.DeletionTimestamp, deleted.DeletionGracePeriodSeconds = &now, &grace
	l.Set(deleted)
	<-found.ended
	order, err := os.ReadFile(kept)
	if want := "setup\nmain\nmain-end\nend\n"; err != nil || string(order) != want {
		t.Errorf("order %q, %v; want %q", order, err, want)
	}
	if _, err := l.client.CoreV1().Pods("ns").Get(t.Context(), "p", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the pod's object is still there: %v", err)
	}
	if _, err := os.Stat(found.dir); !os.IsNotExist(err) {
		t.Errorf("the pod's directory is still there: %v", err)
	}
}

func TestCrashIsRestartedAndItsLogKept(t *testing.T) {
	l := newLab(t)
	l.begin(t, corev1.PodSpec{Containers: []corev1.Container{shell("main", "echo run of $HOSTNAME; sleep 0.1; exit 3")}})
	status := l.await(t, "in back-off", func(status corev1.PodStatus) bool {
		return len(status.ContainerStatuses) == 1 && status.ContainerStatuses[0].State.Waiting != nil &&
			status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
	main := status.ContainerStatuses[0]
	if main.RestartCount != 1 || main.LastTerminationState.Terminated.ExitCode != 3 || main.Ready {
		t.Errorf("got %+v", main)
	}
	if now, before := l.log(t, "main", false), l.log(t, "main", true); now != "run of p\n" || before != now {
		t.Errorf("logs %q and %q", now, before)
	}
}

func TestUnknownImage(t *testing.T) {
	l := newLab(t)
	l.begin(t, corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example.com/none:1"}}})
	status := l.await(t, "waiting", func(status corev1.PodStatus) bool {
		return len(status.ContainerStatuses) == 1 && status.ContainerStatuses[0].State.Waiting.Reason == "ErrImagePull"
	})
	if status.Phase != corev1.PodPending {
		t.Errorf("phase %s, want Pending", status.Phase)
	}
	var noLog *NoLogError
	if err := l.Logs(t.Context(), "ns", "p", "main", false, container.LogOptions{}, nil); !errors.As(err, &noLog) {
		t.Errorf("got %v, want a NoLogError", err)
	}
}

func TestJobPodSucceedsAndItsSidecarEnds(t *testing.T) {
	l := newLab(t)
	spec := orderedPod()
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.Containers[0].Args = []string{"exit 0"}
	l.begin(t, spec)
	status := l.await(t, "done", func(status corev1.PodStatus) bool {
		return status.Phase == corev1.PodSucceeded && status.InitContainerStatuses[1].State.Terminated != nil
	})
	if reason := conditionOf(status, corev1.PodReady).Reason; reason != "PodCompleted" || status.PodIP == "" {
		t.Errorf("Ready has reason %q, want PodCompleted; address %q, want that of its run", reason, status.PodIP)
	}
}

func TestLivenessProbeRestarts(t *testing.T) {
	l := newLab(t)
	main := shell("main", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
	main.LivenessProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"false"}},
	}}
	l.begin(t, corev1.PodSpec{Containers: []corev1.Container{main}})
	l.await(t, "restarted", func(status corev1.PodStatus) bool {
		return len(status.ContainerStatuses) == 1 && status.ContainerStatuses[0].RestartCount > 0
	})
}

func TestEndOfTheAgentEndsItsPods(t *testing.T) {
	l := newLab(t)
	l.begin(t, corev1.PodSpec{Containers: []corev1.Container{shell("main", "trap '' TERM; while :; do sleep 0.05; done")}})
	l.await(t, "ready", isReady)
	begun := time.Now()
	l.stop()
	l.Wait()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
	if phase := l.status(t).Phase; phase != corev1.PodRunning {
		t.Errorf("phase %s: the agent must leave the objects to its successor", phase)
	}
}
