// SPDX-License-Identifier: GPL-3.0-or-later

// Package pod runs the pods of the node: it takes each through its life as a
// kubelet does, from init containers and sidecars through probes and restarts
// to deletion, and reports its status. Not done: preStop hooks, readiness
// gates, activeDeadlineSeconds, ephemeral containers.
package pod

import (
	"context"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"meshops.example/lab/agent/internal/env"
	"meshops.example/lab/agent/internal/images"
	"meshops.example/lab/agent/internal/network"
	"meshops.example/lab/agent/internal/volume"
)

// Config is what all pods of the node share.
type Config struct {
	Client        kubernetes.Interface
	Recorder      record.EventRecorder
	Network       *network.Network
	Images        *images.Table
	Env           *env.Builder
	Capacity      corev1.ResourceList
	StateDir      string
	NodeIP        string
	ClusterDNS    string
	ClusterDomain string
}

func (c *Config) podsDir() string { return filepath.Join(c.StateDir, "pods") }

// Manager has one worker per pod.
type Manager struct {
	config *Config
	ctx    context.Context

	mu      sync.Mutex
	workers map[types.UID]*worker
	running sync.WaitGroup
}

// NewManager runs pods until ctx ends. Then their processes are killed and
// their objects left as they are: Wait returns when that is done.
func NewManager(ctx context.Context, config *Config) *Manager {
	return &Manager{config: config, ctx: ctx, workers: map[types.UID]*worker{}}
}

// Set makes the pod known, or a change of it.
func (m *Manager) Set(pod *corev1.Pod) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, exists := m.workers[pod.UID]; exists {
		known.update(pod)
		return
	}
	if m.ctx.Err() != nil {
		return
	}
	started := newWorker(m.config, pod)
	m.workers[pod.UID] = started
	m.running.Go(func() { started.run(m.ctx) })
}

// Remove ends a pod whose object is gone. Until then an ended worker stays
// known, lest a late change of the object begins the pod again.
func (m *Manager) Remove(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, exists := m.workers[uid]
	if !exists {
		return
	}
	known.remove()
	m.running.Go(func() {
		<-known.ended
		m.mu.Lock()
		delete(m.workers, uid)
		m.mu.Unlock()
	})
}

// Changed has the pods that use the ConfigMap or Secret read it again.
func (m *Manager) Changed(kind, namespace, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.workers {
		pod := known.currentPod()
		if pod.Namespace == namespace && volume.References(pod, kind, name) {
			known.refresh()
		}
	}
}

// Pods returns the pods as last seen from the API server.
func (m *Manager) Pods() []corev1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	var pods []corev1.Pod
	for _, known := range m.workers {
		pods = append(pods, *known.currentPod())
	}
	return pods
}

// Wait returns when no pod runs any more.
func (m *Manager) Wait() { m.running.Wait() }

// currentPod returns the newest version of the pod's object. For others than
// the worker.
func (w *worker) currentPod() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inbox.pod
}
