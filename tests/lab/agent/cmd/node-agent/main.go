// SPDX-License-Identifier: GPL-3.0-or-later

// Command node-agent stands in for a kubelet and its container runtime in the
// lab's mesh on one machine. It is not a kubelet: it runs programs of the
// machine as containers of pods (see package container), so that a real
// Kubernetes control plane and a real Istio find the node that they expect.
//
// It must run as root, inside the network namespace that is "the node".
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"meshops.example/lab/agent/internal/container"
)

func init() {
	// The first thread stands for the process in /proc, so it keeps its
	// namespaces: all that changes namespaces runs on other threads.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == container.InitCommand {
		container.RunInit()
	}
	options := parseFlags()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, "node-agent:", err)
		os.Exit(1)
	}
	slog.Info("all pods stopped")
}

type options struct {
	kubeconfig, nodeName, nodeIP, podCIDR string
	clusterDNS, clusterDomain             string
	images, stateDir                      string
	tlsCert, tlsKey, clientCA             string
	apiPort                               int
}

func parseFlags() *options {
	o := &options{}
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file` with a cluster administrator")
	flag.StringVar(&o.nodeName, "node-name", "meshlab", "`name` of the node")
	flag.StringVar(&o.nodeIP, "node-ip", "", "`address` of the node in its network namespace")
	flag.StringVar(&o.podCIDR, "pod-cidr", "", "`range` of pod addresses")
	flag.StringVar(&o.clusterDNS, "cluster-dns", "", "`address` of the cluster's DNS")
	flag.StringVar(&o.clusterDomain, "cluster-domain", "cluster.local", "DNS `domain` of the cluster")
	flag.StringVar(&o.images, "images", "", "JSON `file` that says what image names stand for")
	flag.StringVar(&o.stateDir, "state-dir", "", "`directory` for pods and logs")
	flag.StringVar(&o.tlsCert, "tls-cert", "", "certificate `file` of the kubelet API")
	flag.StringVar(&o.tlsKey, "tls-key", "", "key `file` of the kubelet API")
	flag.StringVar(&o.clientCA, "client-ca", "", "certificate `file` of the CA of the kubelet API's clients")
	flag.IntVar(&o.apiPort, "api-port", 10250, "`port` of the kubelet API")
	flag.Parse()
	return o
}
