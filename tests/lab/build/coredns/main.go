// SPDX-License-Identifier: GPL-3.0-or-later

// Command coredns is CoreDNS with only the plugins that cluster DNS needs. The
// stock program holds some fifty more, whose cloud libraries cost minutes to build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	// The order in which a query passes through the plugins.
	dnsserver.Directives = []string{"errors", "cache", "kubernetes"}
	coremain.Run()
}
