// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"meshops.example/lab/agent/internal/container"
)

// NotFoundError says that the node has no such pod or container.
type NotFoundError struct{ message string }

func (e *NotFoundError) Error() string { return e.message }

// NoLogError says that a container has no such log. The words are the
// kubelet's, since clients know them.
type NoLogError struct{ message string }

func (e *NoLogError) Error() string { return e.message }

func notFound(format string, args ...any) error {
	return &NotFoundError{fmt.Sprintf(format, args...)}
}

func (m *Manager) find(namespace, name string) (*worker, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.workers {
		pod := known.currentPod()
		if pod.Namespace == namespace && pod.Name == name {
			return known, nil
		}
	}
	return nil, notFound("pod %q is not on this node", namespace+"/"+name)
}

// view returns a copy of the container's state.
func (m *Manager) view(namespace, pod, name string) (*worker, containerState, error) {
	found, err := m.find(namespace, pod)
	if err != nil {
		return nil, containerState{}, err
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	state := found.find(name)
	if state == nil {
		return nil, containerState{}, notFound("container %q is not part of pod %q", name, namespace+"/"+pod)
	}
	return found, *state, nil
}

// Logs writes the log of the container's present or latest run, or with
// previous that of the run before.
func (m *Manager) Logs(ctx context.Context, namespace, pod, name string, previous bool, options container.LogOptions, out io.Writer) error {
	worker, state, err := m.view(namespace, pod, name)
	if err != nil {
		return err
	}
	if !state.begun() {
		return &NoLogError{fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod, state.waiting.Reason)}
	}
	run := state.restarts
	ended := make(chan struct{})
	close(ended)
	var followed <-chan struct{} = ended
	if previous {
		run--
	} else if state.process != nil {
		followed = state.process.Done()
	}
	path := container.LogPath(worker.logDir(name), run)
	if _, err := os.Stat(path); err != nil && previous {
		return &NoLogError{fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod)}
	}
	return container.ReadLog(ctx, path, options, followed, out)
}

// Exec runs a command in the container; see container.Process.Exec.
func (m *Manager) Exec(ctx context.Context, namespace, pod, name string, command []string, streams container.Streams) error {
	_, state, err := m.view(namespace, pod, name)
	if err != nil {
		return err
	}
	if state.process == nil {
		return notFound("container %q in pod %q is not running", name, pod)
	}
	return state.process.Exec(ctx, command, streams)
}

// Dial connects to a port of the pod's own 127.0.0.1.
func (m *Manager) Dial(ctx context.Context, namespace, pod string, port int32) (net.Conn, error) {
	found, err := m.find(namespace, pod)
	if err != nil {
		return nil, err
	}
	found.mu.Lock()
	sandbox := found.sandbox
	found.mu.Unlock()
	if sandbox == nil {
		return nil, notFound("pod %q is not running", namespace+"/"+pod)
	}
	return sandbox.Dial(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
}
