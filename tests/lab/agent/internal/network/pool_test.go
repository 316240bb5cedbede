// SPDX-License-Identifier: GPL-3.0-or-later

package network

import (
	"net/netip"
	"testing"
)

func take(t *testing.T, p *pool) netip.Addr {
	t.Helper()
	ip, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	return ip
}

func TestPoolGivesEachAddressOnce(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.9.1.0/29"))
	seen := map[netip.Addr]bool{}
	for range 5 {
		ip := take(t, p)
		if seen[ip] || !p.prefix.Contains(ip) {
			t.Errorf("%s is given twice or outside of %s", ip, p.prefix)
		}
		seen[ip] = true
	}
	for _, reserved := range []string{"10.9.1.0", "10.9.1.1", "10.9.1.7"} {
		if seen[netip.MustParseAddr(reserved)] {
			t.Errorf("%s is not for pods", reserved)
		}
	}
	if ip, err := p.take(); err == nil {
		t.Errorf("got %s from an empty pool", ip)
	}
	freed := netip.MustParseAddr("10.9.1.4")
	p.release(freed)
	if got := take(t, p); got != freed {
		t.Errorf("got %s, want the one that is free: %s", got, freed)
	}
}

func TestPoolDoesNotHurryToReuse(t *testing.T) {
	p := newPool(netip.MustParsePrefix("10.9.1.0/24"))
	first := take(t, p)
	p.release(first)
	if second := take(t, p); second == first {
		t.Errorf("%s is given out again at once", first)
	}
}

func TestLinkNameFitsTheKernel(t *testing.T) {
	one, other := linkName("36b5-1"), linkName("36b5-2")
	if len(one) > 15 || one == other || one != linkName("36b5-1") {
		t.Errorf("link names %q, %q: want at most 15 characters, different and stable", one, other)
	}
}
