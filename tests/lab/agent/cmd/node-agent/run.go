// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/env"
	"meshops.example/lab/agent/internal/images"
	"meshops.example/lab/agent/internal/kubeletapi"
	"meshops.example/lab/agent/internal/network"
	"meshops.example/lab/agent/internal/node"
	"meshops.example/lab/agent/internal/pod"
)

// run works until ctx ends, then ends all pods.
func run(ctx context.Context, o *options) error {
	stateDir, podNetwork, err := prepareMachine(o)
	if err != nil {
		return err
	}
	client, err := newClient(o.kubeconfig)
	if err != nil {
		return err
	}
	capacity, err := node.Capacity()
	if err != nil {
		return err
	}
	self := &node.Node{Client: client, Name: o.nodeName, IP: o.nodeIP, APIPort: int32(o.apiPort)}
	watcher := self.NewWatcher()
	events := record.NewBroadcaster()
	defer events.Shutdown()
	events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	manager := pod.NewManager(ctx, &pod.Config{
		Client:        client,
		Recorder:      events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "meshlab-node-agent", Host: o.nodeName}),
		Network:       podNetwork,
		Images:        images.NewTable(o.images),
		Env:           &env.Builder{Client: client, Services: watcher.Services, Capacity: capacity},
		Capacity:      capacity,
		StateDir:      stateDir,
		NodeIP:        o.nodeIP,
		ClusterDNS:    o.clusterDNS,
		ClusterDomain: o.clusterDomain,
	})
	defer manager.Wait()

	files := kubeletapi.Files{Certificate: o.tlsCert, Key: o.tlsKey, ClientCA: o.clientCA}
	server, listener, err := kubeletapi.Listen(net.JoinHostPort(o.nodeIP, strconv.Itoa(o.apiPort)), files, manager)
	if err != nil {
		return err
	}
	defer server.Close()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("kubelet API ended", "error", err)
		}
	}()
	if err := registerWhenServed(ctx, self, capacity); err != nil {
		return err
	}
	go self.KeepReady(ctx, capacity)
	if err := watcher.Start(ctx, manager); err != nil && ctx.Err() == nil {
		return err
	}
	slog.Info("node is ready", "node", o.nodeName)
	<-ctx.Done()
	return nil
}

// prepareMachine removes what an earlier agent left.
func prepareMachine(o *options) (stateDir string, podNetwork *network.Network, err error) {
	nodeIP, err := netip.ParseAddr(o.nodeIP)
	if err != nil {
		return "", nil, fmt.Errorf("--node-ip: %w", err)
	}
	podCIDR, err := netip.ParsePrefix(o.podCIDR)
	if err != nil {
		return "", nil, fmt.Errorf("--pod-cidr: %w", err)
	}
	if o.stateDir == "" {
		return "", nil, errors.New("--state-dir is required")
	}
	if stateDir, err = filepath.Abs(o.stateDir); err != nil {
		return "", nil, fmt.Errorf("--state-dir: %w", err)
	}
	if err := container.KillLeftovers(stateDir); err != nil {
		return "", nil, err
	}
	if err := os.RemoveAll(filepath.Join(stateDir, "pods")); err != nil {
		return "", nil, fmt.Errorf("remove earlier pods: %w", err)
	}
	if podNetwork, err = network.New(nodeIP, podCIDR); err != nil {
		return "", nil, err
	}
	return stateDir, podNetwork, nil
}

func newClient(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	// Many pods start at once; the default of 5 requests per second is for tools.
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return client, nil
}

// registerWhenServed retries while the API server is still starting.
func registerWhenServed(ctx context.Context, self *node.Node, capacity corev1.ResourceList) error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := self.Register(ctx, capacity)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}
