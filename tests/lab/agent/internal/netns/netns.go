// SPDX-License-Identifier: GPL-3.0-or-later

// Package netns runs functions inside other network namespaces.
//
// A Go program has many threads and a namespace belongs to a thread, so each
// function here gives its work an operating-system thread of its own and
// throws that thread away afterwards: no other goroutine can ever run on a
// thread that has left the namespace of the program.
package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// namedDir is where `ip netns add` keeps its namespaces.
const namedDir = "/run/netns"

// OnOwnThread runs fn on a thread that is not used for anything else, and
// ends the thread when fn returns. fn may change the namespaces of its thread.
func OnOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread together with the goroutine.
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

// Do runs fn inside the network namespace that ns refers to.
func Do(ns *os.File, fn func() error) error {
	return OnOwnThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", ns.Name(), err)
		}
		return fn()
	})
}

// Dial connects from inside the network namespace that ns refers to. The
// address must be literal: a name would be resolved in the wrong namespace.
func Dial(ctx context.Context, ns *os.File, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := Do(ns, func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Open opens a namespace made by `ip netns add`. The caller closes the file.
func Open(name string) (*os.File, error) {
	file, err := os.Open(filepath.Join(namedDir, name))
	if err != nil {
		return nil, fmt.Errorf("open network namespace %q: %w", name, err)
	}
	return file, nil
}
