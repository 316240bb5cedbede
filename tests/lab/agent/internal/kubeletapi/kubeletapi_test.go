// SPDX-License-Identifier: GPL-3.0-or-later

package kubeletapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/pod"
)

// shell is a pod "ns/p" whose container "c" is this machine.
type shell struct {
	options  container.LogOptions
	terminal bool
}

func (s *shell) Pods() []corev1.Pod { return []corev1.Pod{{}} }

func (s *shell) Logs(_ context.Context, _, name, _ string, previous bool, options container.LogOptions, out io.Writer) error {
	s.options = options
	switch {
	case name != "p":
		return &pod.NotFoundError{}
	case previous:
		return &pod.NoLogError{}
	}
	_, err := io.WriteString(out, "line\n")
	return err
}

func (s *shell) Exec(ctx context.Context, _, _, _ string, command []string, streams container.Streams) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.Stdin, streams.Stdout, streams.Stderr
	s.terminal = streams.Terminal
	return cmd.Run()
}

func (s *shell) Dial(_ context.Context, _, _ string, port int32) (net.Conn, error) {
	if port != 80 {
		return nil, errors.New("refused")
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		buffer := make([]byte, 16)
		count, _ := far.Read(buffer)
		_, _ = far.Write(bytes.ToUpper(buffer[:count]))
	}()
	return near, nil
}

func start(t *testing.T) (*shell, *url.URL) {
	t.Helper()
	pods := &shell{}
	server := httptest.NewServer(handler(pods))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return pods, address
}

func TestLogs(t *testing.T) {
	pods, address := start(t)
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/containerLogs/ns/p/c?tailLines=3&timestamps=true":    {http.StatusOK, "line\n"},
		"/containerLogs/ns/absent/c":                           {http.StatusNotFound, ""},
		"/containerLogs/ns/p/c?previous=true":                  {http.StatusBadRequest, ""},
		"/containerLogs/ns/p/c?tailLines=-1":                   {http.StatusUnprocessableEntity, "tailLines: \"-1\" is not a number of zero or more\n"},
		"/containerLogs/ns/p/c?sinceTime=yesterday":            {http.StatusUnprocessableEntity, ""},
		"/containerLogs/ns/p/c?follow=perhaps":                 {http.StatusUnprocessableEntity, ""},
		"/containerLogs/ns/p/c?stream=Stdin":                   {http.StatusUnprocessableEntity, ""},
		"/containerLogs/ns/p/c?sinceTime=2026-11-24T12:00:00Z": {http.StatusOK, "line\n"},
	} {
		response, err := http.Get(address.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want.status || want.body != "" && string(body) != want.body {
			t.Errorf("%s: got %d %q, want %d %q", path, response.StatusCode, body, want.status, want.body)
		}
	}
	if pods.options.Stream != "" {
		t.Errorf("got stream %q, want both", pods.options.Stream)
	}
}

func TestLogOptions(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	query := url.Values{"follow": {"true"}, "tailLines": {"5"}, "limitBytes": {"100"}, "sinceSeconds": {"60"}, "stream": {"Stderr"}}
	options, err := logOptions(query, now)
	if err != nil {
		t.Fatal(err)
	}
	if !options.Follow || options.Timestamps || *options.TailLines != 5 || *options.LimitBytes != 100 ||
		!options.Since.Equal(now.Add(-time.Minute)) || options.Stream != container.Stderr {
		t.Errorf("got %+v", options)
	}
}

// executors are the two ways in which clients of the API server exec.
func executors(t *testing.T, address *url.URL) map[string]remotecommand.Executor {
	t.Helper()
	config := &rest.Config{Host: address.Host}
	spdyExecutor, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, address)
	if err != nil {
		t.Fatal(err)
	}
	webSocketExecutor, err := remotecommand.NewWebSocketExecutorForProtocols(config, http.MethodGet, address.String(), "v4.channel.k8s.io")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]remotecommand.Executor{"SPDY": spdyExecutor, "WebSocket": webSocketExecutor}
}

func TestExec(t *testing.T) {
	_, address := start(t)
	address.Path = "/exec/ns/p/c"
	query := url.Values{"output": {"1"}, "error": {"1"}, "command": {"sh", "-c", "echo out; echo err >&2; exit 7"}}
	address.RawQuery = query.Encode()
	for name, executor := range executors(t, address) {
		var stdout, stderr strings.Builder
		err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
		var exit utilexec.CodeExitError
		if !errors.As(err, &exit) || exit.Code != 7 {
			t.Errorf("%s: got %v, want exit code 7", name, err)
		}
		if stdout.String() != "out\n" || stderr.String() != "err\n" {
			t.Errorf("%s: got %q, %q", name, stdout.String(), stderr.String())
		}
	}
}

func TestExecWithInput(t *testing.T) {
	_, address := start(t)
	address.Path = "/exec/ns/p/c"
	address.RawQuery = url.Values{"input": {"1"}, "output": {"1"}, "command": {"cat"}}.Encode()
	executor := executors(t, address)["SPDY"]
	var stdout strings.Builder
	err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader("hello"), Stdout: &stdout})
	if err != nil || stdout.String() != "hello" {
		t.Errorf("got %q, %v; want hello", stdout.String(), err)
	}
}

func TestExecInTerminal(t *testing.T) {
	pods, address := start(t)
	address.Path = "/exec/ns/p/c"
	address.RawQuery = url.Values{"output": {"1"}, "tty": {"1"}, "command": {"true"}}.Encode()
	for name, executor := range executors(t, address) {
		pods.terminal = false
		if err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard, Tty: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !pods.terminal {
			t.Errorf("%s: no terminal was asked for", name)
		}
	}
}

func TestPortForward(t *testing.T) {
	_, address := start(t)
	address.Path = "/portForward/ns/p"
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{Host: address.Host})
	if err != nil {
		t.Fatal(err)
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, address)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:80"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	defer close(stop)
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(ports[0].Local)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || string(answer) != "HELLO" {
		t.Errorf("got %q, %v; want HELLO", answer, err)
	}
}
