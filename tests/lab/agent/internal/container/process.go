// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"meshops.example/lab/agent/internal/netns"
	"meshops.example/lab/agent/internal/network"
)

// Process is a running or ended container.
type Process struct {
	StartedAt time.Time

	cmd     *exec.Cmd
	spec    Spec
	sandbox *network.Sandbox

	done chan struct{}
	exit Exit
}

// Start runs a container in the sandbox and returns when its program runs.
// Output goes to log, which Start closes when the container has ended; after
// an error it is closed as well. The error says what the program or the
// file system of the container lacked.
func Start(sandbox *network.Sandbox, spec Spec, log *LogWriter) (*Process, error) {
	process, err := start(sandbox, spec, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return process, nil
}

func start(sandbox *network.Sandbox, spec Spec, log *LogWriter) (*Process, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the container's spec: %w", err)
	}
	var ours, theirs pipes
	defer theirs.close()
	if err := openPipes(&ours, &theirs, spec); err != nil {
		ours.close()
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", InitCommand)
	cmd.Env = spec.Env
	cmd.Stdout, cmd.Stderr = theirs.stdout, theirs.stderr
	cmd.ExtraFiles = []*os.File{theirs.spec, theirs.failure}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Setsid: true}
	err = netns.OnOwnThread(func() error {
		if err := sandbox.Enter(); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		ours.close()
		return nil, fmt.Errorf("create the container's process: %w", err)
	}
	theirs.close()

	process := &Process{StartedAt: time.Now(), cmd: cmd, spec: spec, sandbox: sandbox, done: make(chan struct{})}
	_, writeErr := ours.spec.Write(encoded)
	ours.spec.Close()
	failure, readErr := io.ReadAll(ours.failure)
	ours.failure.Close()
	if err := errors.Join(writeErr, readErr); err != nil || len(failure) > 0 {
		ours.stdout.Close()
		ours.stderr.Close()
		return nil, errors.Join(errors.New(string(failure)), err, reap(cmd))
	}
	go process.wait(log, ours.stdout, ours.stderr)
	return process, nil
}

// reap ends a process whose container never came to be.
func reap(cmd *exec.Cmd) error {
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// wait copies output until the container has ended, then records how it did.
func (p *Process) wait(log *LogWriter, stdout, stderr *os.File) {
	var copying sync.WaitGroup
	copying.Go(func() { log.Copy(Stdout, stdout) })
	copying.Go(func() { log.Copy(Stderr, stderr) })
	waitErr := p.cmd.Wait()
	// The end of the first process ends all of the PID namespace, so the
	// pipes have no writer any more and the copies come to an end.
	copying.Wait()
	stdout.Close()
	stderr.Close()
	log.Close()

	p.exit = Exit{At: time.Now(), Code: p.cmd.ProcessState.ExitCode()}
	status, isUnix := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if isUnix && status.Signaled() {
		p.exit.Signal = int(status.Signal())
		p.exit.Code = 128 + p.exit.Signal
	}
	var exited *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exited) {
		p.exit.Code = 255
	}
	close(p.done)
}

// Done is closed when the container has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the container ended, and false while it runs.
func (p *Process) Exit() (Exit, bool) {
	select {
	case <-p.done:
		return p.exit, true
	default:
		return Exit{}, false
	}
}

// Stop asks the container to end (SIGTERM), and ends it after the grace period
// (SIGKILL). It returns when the container has ended.
func (p *Process) Stop(grace time.Duration) {
	if grace > 0 {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
			return
		case <-time.After(grace):
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal ignores its error: the only one possible is that the process has ended.
func (p *Process) signal(signal syscall.Signal) { _ = p.cmd.Process.Signal(signal) }
