// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/env"
	"meshops.example/lab/agent/internal/images"
)

// How long to wait after a failure that comes before the start of a process.
const (
	imageRetry  = 5 * time.Second
	configRetry = time.Second
)

// startContainer starts the container or records why it cannot.
func (w *worker) startContainer(ctx context.Context, state *containerState) {
	spec, err := w.containerSpec(ctx, state)
	if err != nil {
		reason, retry := "CreateContainerConfigError", configRetry
		if errors.Is(err, images.ErrUnknown) {
			reason, retry = "ErrImagePull", imageRetry
		}
		w.warn("Failed", err.Error())
		w.mu.Lock()
		state.hold(reason, err.Error(), retry)
		w.mu.Unlock()
		return
	}
	w.mu.Lock()
	state.countStart()
	w.mu.Unlock()
	id := "meshlab://" + newID()
	process, err := w.launch(state, spec)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		state.id = id
		state.finish(time.Now(), container.Exit{Code: 128, At: time.Now()}, "StartError", err.Error())
		w.warn("Failed", fmt.Sprintf("Error: cannot start container %s: %v", state.spec.Name, err))
		return
	}
	state.begin(process, id)
	w.tell(state, "Started", "Started")
	slog.Info("container started", "pod", w.name(), "container", state.spec.Name)
	go func() {
		<-process.Done()
		w.wakeUp()
	}()
	w.startProbes(ctx, state)
}

func (w *worker) launch(state *containerState, spec *container.Spec) (*container.Process, error) {
	log, err := container.CreateLog(w.logDir(state.spec.Name), state.restarts)
	if err != nil {
		return nil, err
	}
	return container.Start(w.sandbox, *spec, log)
}

// containerSpec turns the pod's wishes into what the runtime needs.
func (w *worker) containerSpec(ctx context.Context, state *containerState) (*container.Spec, error) {
	pod := w.withAddresses()
	image, err := w.config.Images.Find(state.spec.Image)
	if err != nil {
		return nil, err
	}
	variables, err := w.config.Env.Build(ctx, pod, state.spec)
	if err != nil {
		return nil, err
	}
	expand := func(text string) string { return env.Expand(text, variables) }
	mounts, err := w.volumes.Mounts(pod, state.spec, expand)
	if err != nil {
		return nil, err
	}
	spec, err := identity(pod, state.spec, image)
	if err != nil {
		return nil, err
	}
	command := state.spec.Command
	if len(command) == 0 {
		command = image.Entrypoint
	}
	for _, argument := range append(append([]string{}, command...), state.spec.Args...) {
		spec.Args = append(spec.Args, expand(argument))
	}
	if spec.Scratch, err = w.scratchDir(state.spec.Name); err != nil {
		return nil, err
	}
	spec.WorkDir = state.spec.WorkingDir
	spec.Mounts = w.podFileMounts()
	for inside, outside := range image.Files {
		spec.Mounts = append(spec.Mounts, container.Mount{Source: outside, Target: inside, ReadOnly: true})
	}
	spec.Mounts = append(spec.Mounts, mounts...)
	byDefault(variables, "PATH", container.DefaultPath)
	byDefault(variables, "HOSTNAME", hostname(pod))
	byDefault(variables, "HOME", home(spec.UID))
	variables[container.PodMarker] = string(pod.UID)
	variables[container.StateMarker] = w.config.StateDir
	spec.Env = env.List(variables)
	return spec, nil
}

// stop ends a container without waiting for it.
func (w *worker) stop(state *containerState, grace time.Duration) {
	if state.stopping {
		return
	}
	state.stopping = true
	w.tell(state, "Killing", "Stopping")
	go state.process.Stop(grace)
}

func (w *worker) scratchDir(name string) (string, error) {
	dir := filepath.Join(w.dir, "containers", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make scratch directory: %w", err)
	}
	return dir, nil
}

func (w *worker) logDir(name string) string { return filepath.Join(w.dir, "logs", name) }

// newID is 32 bytes in hexadecimal, like a container ID of a real runtime.
func newID() string {
	bytes := make([]byte, 32)
	// Never fails: crypto/rand ends the program instead.
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}

func byDefault(variables map[string]string, name, value string) {
	if _, set := variables[name]; !set {
		variables[name] = value
	}
}
