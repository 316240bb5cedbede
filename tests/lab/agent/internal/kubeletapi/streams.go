// SPDX-License-Identifier: GPL-3.0-or-later

package kubeletapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	utilexec "k8s.io/utils/exec"

	"meshops.example/lab/agent/internal/container"
)

// streamIdleTimeout is the kubelet's default.
const streamIdleTimeout = 4 * time.Hour

func (a *api) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	executor := &executor{pods: a.pods, namespace: r.PathValue("namespace")}
	remotecommand.ServeExec(w, quiet(r), executor, r.PathValue("pod"), r.PathValue("uid"), r.PathValue("container"),
		r.URL.Query()["command"], options, streamIdleTimeout, remotecommand.DefaultStreamCreationTimeout,
		remotecommand.SupportedStreamingProtocols)
}

func (a *api) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	forwarder := &forwarder{pods: a.pods, namespace: r.PathValue("namespace")}
	portforward.ServePortForward(w, quiet(r), forwarder, r.PathValue("pod"), r.PathValue("uid"), options,
		streamIdleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// quiet keeps the streaming library from logging the end of each WebSocket
// connection as an error. What fails in a command or a forwarded port is told
// to the client.
func quiet(r *http.Request) *http.Request {
	return r.WithContext(klog.NewContext(r.Context(), klog.Logger{}))
}

// executor adapts Pods to the streaming library, for one namespace.
type executor struct {
	pods      Pods
	namespace string
}

// ExecInContainer implements remotecommand.Executor.
func (e *executor) ExecInContainer(ctx context.Context, name, _, containerName string, command []string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	streams := container.Streams{Stdin: in, Terminal: tty, Sizes: sizes}
	// A nil io.WriteCloser must become a nil io.Writer, not an interface that holds nil.
	if out != nil {
		streams.Stdout = out
	}
	if errOut != nil {
		streams.Stderr = errOut
	}
	err := e.pods.Exec(ctx, e.namespace, name, containerName, command, streams)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code := exit.ExitCode()
		if code < 0 {
			code = 137
		}
		return utilexec.CodeExitError{Err: err, Code: code}
	}
	return err
}

// forwarder adapts Pods to the streaming library, for one namespace.
type forwarder struct {
	pods      Pods
	namespace string
}

// PortForward implements portforward.PortForwarder. It returns when the pod
// has closed the connection, or the client both of its directions.
func (f *forwarder) PortForward(ctx context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	conn, err := f.pods.Dial(ctx, f.namespace, name, port)
	if err != nil {
		return fmt.Errorf("connect to port %d of pod %s: %w", port, name, err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		// Pass the end of the client's data on; the answer may still come.
		if half, can := conn.(interface{ CloseWrite() error }); can {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(stream, conn); err != nil {
		return fmt.Errorf("forward port %d of pod %s: %w", port, name, err)
	}
	return nil
}
