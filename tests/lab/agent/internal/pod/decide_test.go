// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"

	"meshops.example/lab/agent/internal/images"
)

func testWorker(t *testing.T, pod *corev1.Pod) *worker {
	t.Helper()
	return newWorker(&Config{
		Client: fake.NewClientset(pod), StateDir: t.TempDir(), NodeIP: "10.9.0.1", ClusterDNS: "10.96.0.10", ClusterDomain: "cluster.local",
	}, pod)
}

func TestFinalPhase(t *testing.T) {
	for name, test := range map[string]struct {
		policy              corev1.RestartPolicy
		setupCode, mainCode int // -1: not ended
		want                corev1.PodPhase
	}{
		"runs":                       {corev1.RestartPolicyNever, 0, -1, ""},
		"done":                       {corev1.RestartPolicyNever, 0, 0, corev1.PodSucceeded},
		"failed":                     {corev1.RestartPolicyNever, 0, 1, corev1.PodFailed},
		"setup failed":               {corev1.RestartPolicyNever, 1, -1, corev1.PodFailed},
		"always, done":               {corev1.RestartPolicyAlways, 0, 0, ""},
		"always, setup failed":       {corev1.RestartPolicyAlways, 1, -1, ""},
		"on failure, done":           {corev1.RestartPolicyOnFailure, 0, 0, corev1.PodSucceeded},
		"on failure, failed":         {corev1.RestartPolicyOnFailure, 0, 1, ""},
		"on failure, setup repeated": {corev1.RestartPolicyOnFailure, 2, -1, ""},
	} {
		pod := testPod()
		pod.Spec.RestartPolicy = test.policy
		w := testWorker(t, pod)
		for state, code := range map[*containerState]int{w.inits[0]: test.setupCode, w.apps[0]: test.mainCode} {
			if code >= 0 {
				crash(state, time.Now(), time.Second, code)
			}
		}
		w.decideFinal()
		if w.final != test.want {
			t.Errorf("%s: got %q, want %q", name, w.final, test.want)
		}
	}
}

func TestSidecarIsAlwaysRestarted(t *testing.T) {
	pod := testPod()
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	w := testWorker(t, pod)
	for _, code := range []int{0, 1} {
		crash(w.inits[1], time.Now(), time.Second, code)
		if !w.mayRestart(w.inits[1]) {
			t.Errorf("a sidecar that ended with %d stays down", code)
		}
	}
}

func TestGrace(t *testing.T) {
	w := testWorker(t, testPod())
	five, one := int64(5), int64(1)
	if got := w.grace(); got != 30*time.Second {
		t.Errorf("by default %v, want 30 s", got)
	}
	w.pod.Spec.TerminationGracePeriodSeconds = &five
	if got := w.grace(); got != 5*time.Second {
		t.Errorf("got %v, want the pod's 5 s", got)
	}
	w.pod.DeletionGracePeriodSeconds = &one
	if got := w.grace(); got != time.Second {
		t.Errorf("got %v, want the deletion's 1 s", got)
	}
}

func TestFinishedPodIsNotStartedAgain(t *testing.T) {
	pod := testPod()
	pod.Status.Phase = corev1.PodSucceeded
	w := testWorker(t, pod)
	if _, gone := w.sync(t.Context()); gone || w.sandbox != nil {
		t.Error("a pod that succeeded under an earlier agent is run or removed")
	}
}

func TestIdentity(t *testing.T) {
	id, yes := int64(1337), true
	image := &images.Image{User: "65534:65533"}
	pod, spec := testPod(), &corev1.Container{}
	got, err := identity(pod, spec, image)
	if err != nil || got.UID != 65534 || got.GID != 65533 {
		t.Errorf("got %+v, %v; want the image's user", got, err)
	}
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &id, FSGroup: &id}
	spec.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: &yes}
	got, err = identity(pod, spec, image)
	if err != nil || got.UID != 1337 || len(got.Groups) != 1 || !got.ReadOnlyRoot {
		t.Errorf("got %+v, %v; want the pod's user and group, read-only", got, err)
	}
	root := int64(0)
	spec.SecurityContext = &corev1.SecurityContext{RunAsUser: &root, RunAsNonRoot: &yes}
	if got, err := identity(pod, spec, image); err == nil {
		t.Errorf("got %+v, want runAsNonRoot to refuse root", got)
	}
}

func TestPodFiles(t *testing.T) {
	pod := testPod()
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "10.0.0.9", Hostnames: []string{"a.example", "b.example"}}}
	one := "1"
	pod.Spec.DNSConfig = &corev1.PodDNSConfig{Searches: []string{"example"}, Options: []corev1.PodDNSConfigOption{{Name: "attempts", Value: &one}}}
	w := testWorker(t, pod)
	if err := writePodFiles(w.config, pod, w.dir, "10.9.1.2"); err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string][]string{
		"hostname":    {"p\n"},
		"hosts":       {"127.0.0.1\tlocalhost\n", "10.9.1.2\tp\n", "10.0.0.9\ta.example\tb.example\n"},
		"resolv.conf": {"nameserver 10.96.0.10\n", "search ns.svc.cluster.local svc.cluster.local cluster.local example\n", "options ndots:5 attempts:1\n"},
	} {
		content, err := os.ReadFile(w.dir + "/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range wanted {
			if !strings.Contains(string(content), text) {
				t.Errorf("%s has no %q:\n%s", name, text, content)
			}
		}
	}
}

func TestLongNameBecomesAValidHostname(t *testing.T) {
	pod := testPod()
	pod.Name = strings.Repeat("a", 62) + "-b"
	if got := hostname(pod); got != strings.Repeat("a", 62) {
		t.Errorf("got %q", got)
	}
}
