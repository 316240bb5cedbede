// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"net/http"
	"strings"
	"testing"
)

const proxyPath = "/api/datasources/proxy/uid/"

func TestProxyPassesOn(t *testing.T) {
	server, up := start(t)
	up.status, up.body = http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before headers"
	response, body := ask(t, server, http.MethodGet, proxyPath+"plain/api/v1/query?query=1%2B1", "")
	if response.StatusCode != up.status || body != up.body || response.Header.Get("X-Upstream") != "yes" {
		t.Errorf("got %d %q, want the data source's own answer", response.StatusCode, body)
	}
	got := up.request
	if got.URL.Path != "/api/v1/query" || got.URL.RawQuery != "query=1%2B1" {
		t.Errorf("the data source was asked for %s", got.URL)
	}
	if !strings.HasPrefix(got.Host, "127.0.0.1:") {
		t.Errorf("Host is %q, want that of the data source's URL", got.Host)
	}
	for _, name := range []string{"Authorization", "Cookie"} {
		if value := got.Header.Get(name); value != "" {
			t.Errorf("the data source got %s: %s", name, value)
		}
	}
}

func TestProxyAddsHeadersButNoParameters(t *testing.T) {
	server, up := start(t)
	ask(t, server, http.MethodGet, proxyPath+"tenant-x/api/v1/query?query=up", "")
	if up.request.URL.Path != "/base/api/v1/query" {
		t.Errorf("path is %s, want it below that of the data source's URL", up.request.URL.Path)
	}
	if up.request.Host != "prometheus.example" || up.request.Header.Get("X-Scope-OrgID") != "secret-tenant" {
		t.Errorf("custom headers are missing: Host %s, %v", up.request.Host, up.request.Header)
	}
	if _, added := up.form["namespace"]; added {
		t.Error("customQueryParameters were added, which Grafana's proxy route does not do")
	}
}

func TestProxyTurns401Into400(t *testing.T) {
	server, up := start(t)
	up.status = http.StatusUnauthorized
	response, body := ask(t, server, http.MethodGet, proxyPath+"plain/x", "")
	if response.StatusCode != http.StatusBadRequest || body != "Authentication to data source failed" {
		t.Errorf("got %d %q", response.StatusCode, body)
	}
}

func TestProxyWithoutDataSource(t *testing.T) {
	// Port 1 of loopback refuses.
	server := serve(t, "datasources: [{name: a, uid: away, type: prometheus, url: 'http://127.0.0.1:1'}]")
	if response, body := ask(t, server, http.MethodGet, proxyPath+"away/x", ""); response.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d %q, want 502", response.StatusCode, body)
	}
}

func TestProxyAllowsWhatThePluginAllows(t *testing.T) {
	server, up := start(t)
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{http.MethodPost, "api/v1/query", http.StatusOK},
		{http.MethodPost, "api/v1/admin/tsdb/delete_series", http.StatusForbidden},
		{http.MethodPut, "api/v1/query", http.StatusForbidden},
		{http.MethodDelete, "api/v1/series", http.StatusForbidden},
		{http.MethodGet, "anything", http.StatusOK},
	} {
		up.request = nil
		response, body := ask(t, server, test.method, proxyPath+"plain/"+test.path, "query=up")
		if response.StatusCode != test.want || (up.request != nil) != (test.want == http.StatusOK) {
			t.Errorf("%s %s: got %d %s, want %d", test.method, test.path, response.StatusCode, body, test.want)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	server, up := start(t)
	ask(t, server, http.MethodGet, proxyPath+"plain/a", "")
	first := up.request.RemoteAddr
	ask(t, server, http.MethodGet, proxyPath+"plain/b", "")
	if second := up.request.RemoteAddr; first != second {
		t.Errorf("connections from %s and %s, want one that is kept", first, second)
	}
}
