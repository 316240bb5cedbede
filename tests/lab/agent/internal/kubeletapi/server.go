// SPDX-License-Identifier: GPL-3.0-or-later

// Package kubeletapi serves the part of a kubelet's HTTP API that the API
// server uses for `kubectl logs`, `exec` and `port-forward`.
//
// Whoever shows a certificate of the client CA may use all of it: in the lab
// the port is reachable only inside the node's network namespace.
package kubeletapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/pod"
)

// Pods is what the API gives access to. Errors of type *pod.NotFoundError
// become status 404, of type *pod.NoLogError status 400.
type Pods interface {
	Pods() []corev1.Pod
	Logs(ctx context.Context, namespace, pod, container string, previous bool, options container.LogOptions, out io.Writer) error
	Exec(ctx context.Context, namespace, pod, container string, command []string, streams container.Streams) error
	Dial(ctx context.Context, namespace, pod string, port int32) (net.Conn, error)
}

// Files names the server's certificate and key, and the CA of its clients.
type Files struct {
	Certificate, Key, ClientCA string
}

// Listen returns a server that is bound to the address and serves after Serve.
func Listen(address string, files Files, pods Pods) (*http.Server, net.Listener, error) {
	certificate, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("load the node's certificate: %w", err)
	}
	pem, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, nil, fmt.Errorf("read the client CA: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("%s holds no certificate", files.ClientCA)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
		MinVersion:   tls.VersionTLS12,
		// SPDY and WebSocket streams take over a connection of HTTP/1.1.
		NextProtos: []string{"http/1.1"},
	}
	listener, err := tls.Listen("tcp", address, config)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	server := &http.Server{Handler: handler(pods), ReadHeaderTimeout: 10 * time.Second}
	return server, listener, nil
}

func handler(pods Pods) http.Handler {
	api := &api{pods}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("GET /pods", api.list)
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", api.logs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", api.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", api.exec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", api.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", api.portForward)
	mux.HandleFunc("/attach/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the lab's node agent does not attach to running containers; use exec", http.StatusNotImplemented)
	})
	return mux
}

type api struct{ pods Pods }

func (a *api) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	list := corev1.PodList{Items: a.pods.Pods()}
	list.Kind, list.APIVersion = "PodList", "v1"
	if err := json.NewEncoder(w).Encode(list); err != nil {
		slog.Warn("cannot send list of pods", "error", err)
	}
}

func writeError(w http.ResponseWriter, err error) {
	var missing *pod.NotFoundError
	var noLog *pod.NoLogError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &missing):
		status = http.StatusNotFound
	case errors.As(err, &noLog):
		status = http.StatusBadRequest
	}
	// No line end as http.Error adds: the API server makes the text a message.
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, err)
}
