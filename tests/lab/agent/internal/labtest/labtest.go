// SPDX-License-Identifier: GPL-3.0-or-later

//go:build lab

// Package labtest gives tests that need root a node of their own: network and
// mount namespaces in which they may do what the agent does to a machine.
package labtest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"meshops.example/lab/agent/internal/network"
)

// NodeIP is the address of the node.
const NodeIP = "10.29.0.1"

// insideMarker tells the test program that it runs in namespaces of its own.
const insideMarker = "MESHLAB_TEST_INSIDE"

func init() {
	// As in the agent's main package: the first thread stays where it is.
	runtime.LockOSThread()
}

// Main runs the tests again in new namespaces. It fails without root.
//
// The test program is also the first process of the containers that the tests
// start, as the agent's program is otherwise: initCommand says so.
func Main(m *testing.M, initCommand string, runInit func()) {
	if len(os.Args) == 2 && os.Args[1] == initCommand {
		runInit()
	}
	if os.Getenv(insideMarker) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideMarker+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "the tests of tag lab need root:", err)
	os.Exit(1)
}

// makeNode gives the network namespace what a node has.
var makeNode = sync.OnceValue(func() error {
	node := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "node"}}
	address, err := netlink.ParseAddr(NodeIP + "/24")
	if err := errors.Join(err, netlink.LinkAdd(node), netlink.AddrAdd(node, address), netlink.LinkSetUp(node)); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: node.Index, Gw: net.IPv4(10, 29, 0, 254)})
})

// Network returns the node's network for pods.
func Network(t *testing.T) *network.Network {
	t.Helper()
	if err := makeNode(); err != nil {
		t.Fatal(err)
	}
	podNetwork, err := network.New(netip.MustParseAddr(NodeIP), netip.MustParsePrefix("10.29.1.0/24"))
	if err != nil {
		t.Fatal(err)
	}
	return podNetwork
}
