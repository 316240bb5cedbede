// SPDX-License-Identifier: GPL-3.0-or-later

// Package forward copies TCP connections to another address.
package forward

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"meshops.example/lab/agent/internal/netns"
)

const dialTimeout = 5 * time.Second

// Dialer opens the other half of a forwarded connection.
type Dialer func(ctx context.Context) (net.Conn, error)

// InNamespace connects to the address inside a network namespace made by `ip
// netns add`. The name is looked up each time: it may come and go meanwhile.
func InNamespace(name, address string) Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		namespace, err := netns.Open(name)
		if err != nil {
			return nil, err
		}
		defer namespace.Close()
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return netns.Dial(ctx, namespace, "tcp", address)
	}
}

// Serve forwards each connection of the listener until ctx ends. A connection
// whose other half cannot be opened is closed.
func Serve(ctx context.Context, listener net.Listener, dial Dialer) error {
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept connection: %w", err)
		}
		go func() {
			if err := join(ctx, conn, dial); err != nil {
				slog.Warn("cannot forward connection", "error", err)
			}
		}()
	}
}

func join(ctx context.Context, near net.Conn, dial Dialer) error {
	defer near.Close()
	far, err := dial(ctx)
	if err != nil {
		return err
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	go copyHalf(far, near, done)
	go copyHalf(near, far, done)
	<-done
	<-done
	return nil
}

// copyHalf passes on data and then its end. A broken connection is its peer's
// business, who sees it end.
func copyHalf(to, from net.Conn, done chan<- struct{}) {
	_, _ = io.Copy(to, from)
	if half, can := to.(interface{ CloseWrite() error }); can {
		_ = half.CloseWrite()
	}
	done <- struct{}{}
}
