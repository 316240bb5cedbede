// SPDX-License-Identifier: GPL-3.0-or-later

package node

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func ready(t *testing.T, n *Node) corev1.ConditionStatus {
	t.Helper()
	object, err := n.Client.CoreV1().Nodes().Get(t.Context(), n.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status
		}
	}
	return ""
}

func TestNodeIsRegisteredAndKeptReady(t *testing.T) {
	n := &Node{Client: fake.NewClientset(), Name: "node", IP: "10.9.0.1", APIPort: 10250}
	capacity, err := Capacity()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Register(t.Context(), capacity); err != nil {
			t.Fatal(err)
		}
	}
	object, err := n.Client.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status := object.Status
	if status.DaemonEndpoints.KubeletEndpoint.Port != 10250 || status.Addresses[0].Address != "10.9.0.1" || status.Capacity.Memory().IsZero() {
		t.Errorf("got %+v", status)
	}
	// What the node lifecycle controller does to a node whose lease expires.
	for i := range object.Status.Conditions {
		object.Status.Conditions[i].Status = corev1.ConditionUnknown
	}
	if _, err := n.Client.CoreV1().Nodes().UpdateStatus(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.renew(t.Context(), capacity); err != nil {
			t.Fatal(err)
		}
	}
	if got := ready(t, n); got != corev1.ConditionTrue {
		t.Errorf("Ready is %s, want True", got)
	}
	lease, err := n.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil || time.Since(lease.Spec.RenewTime.Time) > time.Minute {
		t.Errorf("got lease %+v, %v", lease, err)
	}
}

// record is a PodManager that tells what it is told.
type record chan string

func (r record) Set(pod *corev1.Pod)  { r <- "set " + pod.Name }
func (r record) Remove(uid types.UID) { r <- "remove " + string(uid) }
func (r record) Changed(kind, namespace, name string) {
	r <- "changed " + kind + " " + namespace + "/" + name
}

func (r record) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-r:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no %q", want)
	}
}

func TestWatcher(t *testing.T) {
	client := fake.NewClientset(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"}})
	n := &Node{Client: client, Name: "node"}
	watcher, told := n.NewWatcher(), make(record, 9)
	if err := watcher.Start(t.Context(), told); err != nil {
		t.Fatal(err)
	}
	services, err := watcher.Services("ns")
	if err != nil || len(services) != 1 {
		t.Errorf("got Services %v, %v", services, err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: corev1.PodSpec{NodeName: "node"}}
	pods := client.CoreV1().Pods("ns")
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	told.expect(t, "set p")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "settings"}}
	if _, err := client.CoreV1().ConfigMaps("ns").Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	told.expect(t, "changed ConfigMap ns/settings")
	if err := pods.Delete(t.Context(), "p", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	told.expect(t, "remove u")
}
