// SPDX-License-Identifier: GPL-3.0-or-later

package network

import (
	"fmt"
	"net/netip"
	"sync"
)

// pool hands out pod addresses. It walks through the range before it gives an
// address out again: a client that still knows an old pod must not reach a new one.
type pool struct {
	mu     sync.Mutex
	prefix netip.Prefix
	used   map[netip.Addr]bool
	last   netip.Addr
}

func newPool(prefix netip.Prefix) *pool {
	prefix = prefix.Masked()
	// The first address is the network's own, the second is left to the node.
	return &pool{prefix: prefix, used: map[netip.Addr]bool{}, last: prefix.Addr().Next()}
}

func (p *pool) take() (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.prefix.Addr().Next().Next()
	candidate := p.last
	for range 1 << (p.prefix.Addr().BitLen() - p.prefix.Bits()) {
		candidate = candidate.Next()
		// The last address of the range is its broadcast address.
		if !p.prefix.Contains(candidate.Next()) {
			candidate = first
		}
		if !p.used[candidate] {
			p.used[candidate] = true
			p.last = candidate
			return candidate, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free pod address in %s", p.prefix)
}

func (p *pool) release(ip netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.used, ip)
}
