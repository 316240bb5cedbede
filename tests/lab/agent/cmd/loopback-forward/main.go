// SPDX-License-Identifier: GPL-3.0-or-later

// Command loopback-forward makes one TCP port of a network namespace reachable
// on a loopback address of the namespace that it is started in:
//
//	loopback-forward --listen 127.0.0.1:16443 --netns meshlab-node --to 10.9.0.1:6443
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"meshops.example/lab/agent/internal/forward"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:16443", "loopback `address:port` to listen on")
	namespace := flag.String("netns", "", "`name` of the network namespace to connect in")
	to := flag.String("to", "", "`address:port` to connect to inside that namespace")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *namespace, *to); err != nil {
		fmt.Fprintln(os.Stderr, "loopback-forward:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, namespace, to string) error {
	local, err := netip.ParseAddrPort(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if !local.Addr().IsLoopback() {
		return fmt.Errorf("--listen: %s is not a loopback address", local.Addr())
	}
	if namespace == "" {
		return errors.New("--netns is required")
	}
	if _, err := netip.ParseAddrPort(to); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	slog.Info("forwarding", "from", listener.Addr(), "namespace", namespace, "to", to)
	return forward.Serve(ctx, listener, forward.InNamespace(namespace, to))
}
