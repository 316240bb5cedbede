// SPDX-License-Identifier: GPL-3.0-or-later

// Package node registers the machine as a Kubernetes node and keeps it Ready.
package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Kubernetes' defaults: a node is lost 40 s after the last renewal.
const (
	leaseDuration = 40 * time.Second
	leaseRenewal  = 10 * time.Second
)

// kubeletVersion says that this is no kubelet, after the version it stands for.
const kubeletVersion = "v1.37.2+meshlab-node-agent"

// Node is the machine as the API server knows it.
type Node struct {
	Client  kubernetes.Interface
	Name    string
	IP      string
	APIPort int32
}

// Capacity returns what the machine offers to pods.
func Capacity() (corev1.ResourceList, error) {
	memory, err := totalMemory()
	if err != nil {
		return nil, err
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(110, resource.DecimalSI),
	}, nil
}

// Register creates the node or brings its status up to date.
func (n *Node) Register(ctx context.Context, capacity corev1.ResourceList) error {
	nodes := n.Client.CoreV1().Nodes()
	current, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		current, err = nodes.Create(ctx, n.object(), metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.Name, err)
	}
	current.Status.Capacity, current.Status.Allocatable = capacity, capacity
	current.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: n.IP},
		{Type: corev1.NodeHostName, Address: n.Name},
	}
	current.Status.DaemonEndpoints.KubeletEndpoint.Port = n.APIPort
	current.Status.Conditions = conditions()
	current.Status.NodeInfo = nodeInfo()
	if _, err := nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("report status of node %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) object() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name,
		Labels: map[string]string{
			corev1.LabelHostname:   n.Name,
			corev1.LabelOSStable:   runtime.GOOS,
			corev1.LabelArchStable: runtime.GOARCH,
		},
	}}
}

// KeepReady renews the node's lease until ctx ends, and reports the node Ready
// again after the node lifecycle controller has lost sight of it.
func (n *Node) KeepReady(ctx context.Context, capacity corev1.ResourceList) {
	ticker := time.NewTicker(leaseRenewal)
	defer ticker.Stop()
	for {
		if err := n.renew(ctx, capacity); err != nil && ctx.Err() == nil {
			slog.Warn("cannot keep the node ready", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (n *Node) renew(ctx context.Context, capacity corev1.ResourceList) error {
	if err := n.renewLease(ctx); err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	current, err := n.Client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read node: %w", err)
	}
	for _, condition := range current.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return n.Register(ctx, capacity)
}

func (n *Node) renewLease(ctx context.Context) error {
	leases := n.Client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	lease, err := leases.Get(ctx, n.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		seconds := int32(leaseDuration / time.Second)
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: n.Name, Namespace: corev1.NamespaceNodeLease},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

func conditions() []corev1.NodeCondition {
	now := metav1.Now()
	list := []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		Reason: "NodeAgentReady", Message: "The lab's node agent runs.", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	for _, pressure := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		list = append(list, corev1.NodeCondition{
			Type: pressure, Status: corev1.ConditionFalse,
			Reason: "NotMeasured", Message: "The lab's node agent does not measure pressure.", LastHeartbeatTime: now, LastTransitionTime: now,
		})
	}
	return list
}

func nodeInfo() corev1.NodeSystemInfo {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	return corev1.NodeSystemInfo{
		KubeletVersion:          kubeletVersion,
		ContainerRuntimeVersion: "meshlab://1",
		OperatingSystem:         runtime.GOOS,
		Architecture:            runtime.GOARCH,
		OSImage:                 "the machine itself",
		KernelVersion:           strings.TrimSpace(string(kernel)),
	}
}

func totalMemory() (int64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read the machine's memory: %w", err)
	}
	var kibibytes int64
	if _, err := fmt.Sscanf(string(content), "MemTotal: %d kB", &kibibytes); err != nil {
		return 0, fmt.Errorf("read the machine's memory: %w", err)
	}
	return kibibytes << 10, nil
}
