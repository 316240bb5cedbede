// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const userAgent = "Grafana/" + version

// dataSourceTransport does what Grafana's HTTP client does to each request to
// a data source: custom headers and basic authentication. Connections are kept
// alive, as Grafana keeps them.
type dataSourceTransport struct {
	source *DataSource
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *dataSourceTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	for i := 1; ; i++ {
		name := t.source.text(fmt.Sprintf("httpHeaderName%d", i))
		if name == "" {
			break
		}
		value := t.source.SecureJSONData[fmt.Sprintf("httpHeaderValue%d", i)]
		// grafana-plugin-sdk-go, custom_headers_middleware.go: Host is the
		// request's own field in Go.
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	if t.source.BasicAuth {
		request.SetBasicAuth(t.source.BasicAuthUser, t.source.SecureJSONData["basicAuthPassword"])
	}
	return t.next.RoundTrip(request)
}

// withCustomParameters adds jsonData.customQueryParameters to a URL. Grafana's
// Prometheus plugin does so for queries and health checks; the proxy route
// does not go through the plugin.
func (d *DataSource) withCustomParameters(target *url.URL) error {
	custom, err := url.ParseQuery(d.text("customQueryParameters"))
	if err != nil {
		return fmt.Errorf("customQueryParameters of data source %q: %w", d.Name, err)
	}
	query := target.Query()
	for name, values := range custom {
		query[name] = append(query[name], values...)
	}
	target.RawQuery = query.Encode()
	return nil
}

// join appends a path to the data source's URL.
func (d *DataSource) join(path string) *url.URL {
	joined := *d.target
	joined.Path = strings.TrimSuffix(d.target.Path, "/") + "/" + strings.TrimPrefix(path, "/")
	joined.RawPath = ""
	return &joined
}
