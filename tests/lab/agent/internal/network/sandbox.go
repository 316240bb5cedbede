// SPDX-License-Identifier: GPL-3.0-or-later

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"meshops.example/lab/agent/internal/netns"
)

// Sandbox is what the containers of one pod share: the network, hostname (UTS)
// and IPC namespaces, and the pod's address.
type Sandbox struct {
	IP  netip.Addr
	Net *os.File
	UTS *os.File
	IPC *os.File

	link    string
	network *Network
}

// newSandbox creates the namespaces. They outlive the thread that made them
// because the returned files refer to them.
func newSandbox(hostname string) (*Sandbox, error) {
	sandbox := &Sandbox{}
	err := netns.OnOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("create the pod's namespaces: %w", err)
		}
		if err := unix.Sethostname([]byte(hostname)); err != nil {
			return fmt.Errorf("set the pod's hostname: %w", err)
		}
		for kind, file := range map[string]**os.File{"net": &sandbox.Net, "uts": &sandbox.UTS, "ipc": &sandbox.IPC} {
			opened, err := os.Open("/proc/thread-self/ns/" + kind)
			if err != nil {
				return fmt.Errorf("open the pod's %s namespace: %w", kind, err)
			}
			*file = opened
		}
		return nil
	})
	if err != nil {
		sandbox.closeFiles()
		return nil, err
	}
	return sandbox, nil
}

// Do runs fn inside the pod's network namespace.
func (s *Sandbox) Do(fn func() error) error {
	return netns.Do(s.Net, fn)
}

// Dial connects from inside the pod, so that 127.0.0.1 is the pod's own.
func (s *Sandbox) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return netns.Dial(ctx, s.Net, network, address)
}

// Enter moves the calling thread into the pod's namespaces. Only for a thread
// that does nothing else afterwards (see netns.OnOwnThread).
func (s *Sandbox) Enter() error {
	for _, ns := range []struct {
		file *os.File
		kind int
	}{{s.Net, unix.CLONE_NEWNET}, {s.UTS, unix.CLONE_NEWUTS}, {s.IPC, unix.CLONE_NEWIPC}} {
		if err := unix.Setns(int(ns.file.Fd()), ns.kind); err != nil {
			return fmt.Errorf("enter the pod's namespaces: %w", err)
		}
	}
	return nil
}

// Close takes the pod off the network and frees its address.
func (s *Sandbox) Close() error {
	err := removeLink(s.link)
	s.network.pool.release(s.IP)
	return errors.Join(err, s.closeFiles())
}

func (s *Sandbox) closeFiles() error {
	var errs []error
	for _, file := range []*os.File{s.Net, s.UTS, s.IPC} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
