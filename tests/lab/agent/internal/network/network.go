// SPDX-License-Identifier: GPL-3.0-or-later

// Package network gives pods their namespaces, address and routes.
//
// Everything is routed and nothing bridged, in the way that Calico does it: a
// pod has a veth pair, the node a /32 route to the pod, and the pod a default
// route via the link-local address 169.254.1.1, which nobody owns and for
// which the node's end of the pair answers by proxy ARP. The kernel answers only
// for what it can route elsewhere: the node must have a default route.
//
// No namespace is bound to a file. They live as long as the agent holds their
// descriptors or a process of the pod runs, so an agent that was killed leaves
// nothing behind once the processes of its pods are gone.
package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
)

const (
	// linkPrefix marks the node's ends of the veth pairs.
	linkPrefix = "mlab"
	podLink    = "eth0"
)

var gateway = netip.MustParseAddr("169.254.1.1")

// Network attaches pods to the network namespace that the agent runs in.
type Network struct {
	nodeIP netip.Addr
	pool   *pool
}

// New prepares the node's namespace for pods: it forwards packets, and links
// left by an earlier agent are removed.
func New(nodeIP netip.Addr, podCIDR netip.Prefix) (*Network, error) {
	if err := writeSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return nil, err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list the node's network links: %w", err)
	}
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Name, linkPrefix) {
			if err := removeLink(link.Attrs().Name); err != nil {
				return nil, err
			}
		}
	}
	return &Network{nodeIP: nodeIP, pool: newPool(podCIDR)}, nil
}

// Attach creates the namespaces of a pod and connects them to the node.
func (n *Network) Attach(podUID, hostname string) (*Sandbox, error) {
	ip, err := n.pool.take()
	if err != nil {
		return nil, err
	}
	sandbox, err := newSandbox(hostname)
	if err != nil {
		n.pool.release(ip)
		return nil, err
	}
	sandbox.IP = ip
	sandbox.link = linkName(podUID)
	sandbox.network = n
	if err := n.connect(sandbox); err != nil {
		sandbox.Close()
		return nil, fmt.Errorf("connect pod %s to the network: %w", podUID, err)
	}
	return sandbox, nil
}

func (n *Network) connect(sandbox *Sandbox) error {
	pair := netlink.NewVeth(netlink.LinkAttrs{Name: sandbox.link, MTU: 1500})
	pair.PeerName = podLink
	pair.PeerNamespace = netlink.NsFd(int(sandbox.Net.Fd()))
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("create link %s: %w", sandbox.link, err)
	}
	nodeEnd, err := netlink.LinkByName(sandbox.link)
	if err != nil {
		return fmt.Errorf("find link %s: %w", sandbox.link, err)
	}
	// Answer at once: by default a proxy ARP reply waits up to 0.8 s.
	if err := writeSysctl("net/ipv4/neigh/"+sandbox.link+"/proxy_delay", "0"); err != nil {
		return err
	}
	if err := writeSysctl("net/ipv4/conf/"+sandbox.link+"/proxy_arp", "1"); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(nodeEnd); err != nil {
		return fmt.Errorf("set link %s up: %w", sandbox.link, err)
	}
	if err := sandbox.Do(func() error { return configurePodEnd(sandbox.IP) }); err != nil {
		return err
	}
	route := &netlink.Route{
		LinkIndex: nodeEnd.Attrs().Index,
		Scope:     netlink.SCOPE_LINK,
		Dst:       hostNet(sandbox.IP),
		Src:       n.nodeIP.AsSlice(),
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("add route to %s: %w", sandbox.IP, err)
	}
	return nil
}

// configurePodEnd runs inside the pod's network namespace.
func configurePodEnd(ip netip.Addr) error {
	// As containerd does: a container that is not root may listen on port 80.
	if err := writeSysctl("net/ipv4/ip_unprivileged_port_start", "0"); err != nil {
		return err
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the pod's loopback link: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("set the pod's loopback link up: %w", err)
	}
	eth0, err := netlink.LinkByName(podLink)
	if err != nil {
		return fmt.Errorf("find the pod's %s: %w", podLink, err)
	}
	if err := netlink.AddrAdd(eth0, &netlink.Addr{IPNet: hostNet(ip)}); err != nil {
		return fmt.Errorf("give the pod address %s: %w", ip, err)
	}
	if err := netlink.LinkSetUp(eth0); err != nil {
		return fmt.Errorf("set the pod's %s up: %w", podLink, err)
	}
	index := eth0.Attrs().Index
	toGateway := &netlink.Route{LinkIndex: index, Scope: netlink.SCOPE_LINK, Dst: hostNet(gateway)}
	if err := netlink.RouteAdd(toGateway); err != nil {
		return fmt.Errorf("add the pod's route to its gateway: %w", err)
	}
	byDefault := &netlink.Route{LinkIndex: index, Gw: gateway.AsSlice()}
	if err := netlink.RouteAdd(byDefault); err != nil {
		return fmt.Errorf("add the pod's default route: %w", err)
	}
	return nil
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if _, gone := err.(netlink.LinkNotFoundError); gone {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	if err := netlink.LinkDel(link); err != nil {
		return fmt.Errorf("remove link %s: %w", name, err)
	}
	return nil
}

// linkName is short enough for IFNAMSIZ (15 characters) and stable per pod.
func linkName(podUID string) string {
	sum := sha256.Sum256([]byte(podUID))
	return linkPrefix + hex.EncodeToString(sum[:5])
}

func hostNet(ip netip.Addr) *net.IPNet {
	return &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(ip.BitLen(), ip.BitLen())}
}

// writeSysctl sets a sysctl of the network namespace of the calling thread.
func writeSysctl(path, value string) error {
	if err := os.WriteFile("/proc/sys/"+path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("set sysctl %s: %w", path, err)
	}
	return nil
}
