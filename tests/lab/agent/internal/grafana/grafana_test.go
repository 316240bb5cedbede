// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testToken = "token-for-tests"

const provisioning = `apiVersion: 1
datasources:
  - name: Prometheus (tenant x)
    uid: tenant-x
    type: prometheus
    url: URL/base
    jsonData:
      customQueryParameters: namespace=x&max_source_resolution=5m
      httpHeaderName1: Host
      httpHeaderName2: X-Scope-OrgID
    secureJsonData:
      httpHeaderValue1: prometheus.example
      httpHeaderValue2: secret-tenant
  - name: Plain
    uid: plain
    type: prometheus
    url: URL
    editable: true
    jsonData:
      httpMethod: GET
`

// upstream records what the data source receives.
type upstream struct {
	request *http.Request
	form    map[string][]string
	status  int
	body    string
}

func start(t *testing.T) (*httptest.Server, *upstream) {
	t.Helper()
	up := &upstream{status: http.StatusOK, body: `{"status":"success","data":{"resultType":"vector","result":[]}}`}
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		up.request, up.form = r, r.Form
		w.Header().Set("X-Upstream", "yes")
		w.WriteHeader(up.status)
		if _, err := io.WriteString(w, up.body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(prometheus.Close)
	return serve(t, strings.ReplaceAll(provisioning, "URL", prometheus.URL)), up
}

func serve(t *testing.T, content string) *httptest.Server {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(testToken, dir)
	if err != nil {
		t.Fatal(err)
	}
	standIn := httptest.NewServer(server.Handler())
	t.Cleanup(standIn.Close)
	return standIn
}

func ask(t *testing.T, server *httptest.Server, method, path, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+testToken)
	request.Header.Set("Cookie", "grafana_session=1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get(standInHeader); got != "meshops" {
		t.Errorf("%s %s: answer is not marked: %s: %q", method, path, standInHeader, got)
	}
	return response, string(content)
}

func TestAuthentication(t *testing.T) {
	server, _ := start(t)
	for header, want := range map[string]string{"": `"messageId":"auth.unauthorized"`, "Bearer wrong": `"messageId":"api-key.invalid"`} {
		request, err := http.NewRequest(http.MethodGet, server.URL+"/api/datasources", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", header)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), want) {
			t.Errorf("%q: got %d %s, %v; want 401 with %s", header, response.StatusCode, body, err, want)
		}
	}
	response, err := http.Get(server.URL + "/api/health")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/api/health without a token: got %d, want 200", response.StatusCode)
	}
}

func TestDataSources(t *testing.T) {
	server, up := start(t)
	_, list := ask(t, server, http.MethodGet, "/api/datasources", "")
	_, details := ask(t, server, http.MethodGet, "/api/datasources/uid/tenant-x", "")
	for _, body := range []string{list, details} {
		for _, text := range []string{`"uid":"tenant-x"`, `"readOnly":true`, `"access":"proxy"`, `"httpHeaderName2":"X-Scope-OrgID"`} {
			if !strings.Contains(body, text) {
				t.Errorf("no %s in %s", text, body)
			}
		}
		if strings.Contains(body, "secret-tenant") {
			t.Errorf("a secret is in %s", body)
		}
	}
	if !strings.Contains(list, `"readOnly":false`) || !strings.Contains(details, `"secureJsonFields":{"httpHeaderValue1":true`) {
		t.Errorf("got %s and %s", list, details)
	}
	response, body := ask(t, server, http.MethodGet, "/api/datasources/uid/absent", "")
	if response.StatusCode != http.StatusNotFound || !strings.Contains(body, "Data source not found") {
		t.Errorf("unknown uid: got %d %s", response.StatusCode, body)
	}
	if up.request != nil {
		t.Error("the data source was asked")
	}
}

func TestProvisioningErrors(t *testing.T) {
	for name, content := range map[string]string{
		"two of one uid": "datasources: [{name: a, uid: u, type: prometheus, url: 'http://a'}, {name: b, uid: u, type: prometheus, url: 'http://b'}]",
		"no url":         "datasources: [{name: a, type: prometheus}]",
		"no name":        "datasources: [{type: prometheus, url: 'http://a'}]",
		"not YAML":       "datasources: [",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if sources, err := Load(dir); err == nil {
			t.Errorf("%s: got %v, want an error", name, sources)
		}
	}
}

func TestUIDFromName(t *testing.T) {
	sources, err := parse([]byte("datasources: [{name: Prometheus, type: prometheus, url: 'http://a'}]"))
	// What Grafana itself makes of this name, known from its dashboards.
	if err != nil || sources[0].UID != "PBFA97CFB590B2093" {
		t.Errorf("got %q, %v; want PBFA97CFB590B2093", sources[0].UID, err)
	}
}
