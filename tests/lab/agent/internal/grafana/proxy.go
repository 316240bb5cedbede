// SPDX-License-Identifier: GPL-3.0-or-later

package grafana

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
)

// statusClientClosedRequest is what Grafana records for a client that left.
const statusClientClosedRequest = 499

// postRoutes are those that Grafana's Prometheus plugin allows to POST
// (public/app/plugins/datasource/prometheus/plugin.json, "routes").
var postRoutes = []string{"api/v1/query", "api/v1/query_range", "api/v1/series", "api/v1/labels", "api/v1/query_exemplars"}

// proxy passes a request on to the data source, and the answer back as it is.
// It follows pkg/api/pluginproxy/ds_proxy.go of Grafana.
func (s *Server) proxy(w http.ResponseWriter, r *http.Request, source *DataSource) {
	path := r.PathValue("path")
	if refusal := refuseMethod(source, r.Method, path); refusal != "" {
		writeMessage(w, http.StatusForbidden, refusal)
		return
	}
	proxy := &httputil.ReverseProxy{
		Transport: &dataSourceTransport{source: source, next: s.transport},
		Rewrite: func(request *httputil.ProxyRequest) {
			target := source.join(path)
			target.RawQuery = request.In.URL.RawQuery
			request.Out.URL = target
			request.Out.Host = target.Host
			for _, name := range []string{"Cookie", "Origin", "Referer"} {
				request.Out.Header.Del(name)
			}
			request.Out.Header.Set("User-Agent", userAgent)
			if host, _, err := net.SplitHostPort(request.In.RemoteAddr); err == nil {
				request.Out.Header.Set("X-Forwarded-For", host)
			}
		},
		ModifyResponse: modifyResponse,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			slog.Warn("Proxy request failed", "datasource", source.UID, "error", err)
			w.WriteHeader(failureStatus(err))
		},
	}
	proxy.ServeHTTP(w, r)
}

// modifyResponse hides the data source's 401, which a browser would take for
// its own session's, and forbids active content.
func modifyResponse(response *http.Response) error {
	if response.StatusCode == http.StatusUnauthorized {
		const message = "Authentication to data source failed"
		if err := response.Body.Close(); err != nil {
			return err
		}
		response.StatusCode, response.Status = http.StatusBadRequest, "400 Bad Request"
		response.Header = http.Header{}
		response.ContentLength = int64(len(message))
		response.Body = io.NopCloser(strings.NewReader(message))
		return nil
	}
	response.Header.Set("Content-Security-Policy", "sandbox")
	return nil
}

// refuseMethod returns why the request is not allowed, or "".
func refuseMethod(source *DataSource, method, path string) string {
	if source.Type != "prometheus" {
		return ""
	}
	switch method {
	case http.MethodDelete, http.MethodPut:
		return "non allow-listed " + method + "s not allowed on proxied Prometheus datasource"
	case http.MethodPost:
		if !slices.Contains(postRoutes, strings.Trim(path, "/")) {
			return "non allow-listed POSTs not allowed on proxied Prometheus datasource"
		}
	}
	return ""
}

// failureStatus is for requests that got no answer from the data source.
func failureStatus(err error) int {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return statusClientClosedRequest
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	default:
		return http.StatusBadGateway
	}
}
