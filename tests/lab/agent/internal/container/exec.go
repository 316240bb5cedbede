// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"meshops.example/lab/agent/internal/netns"
)

// ErrNotRunning is returned for a command in a container that has ended.
var ErrNotRunning = errors.New("container is not running")

// Streams connect a command with its client. Those that are nil are not there.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal gives the command a terminal in the place of three streams;
	// Stderr is not used then. Sizes may be nil.
	Terminal bool
	Sizes    <-chan remotecommand.TerminalSize
}

// Exec runs a command in the container, as the container's user and with its
// environment. A command that ends with another status than 0 gives an
// *exec.ExitError.
func (p *Process) Exec(ctx context.Context, command []string, streams Streams) error {
	if len(command) == 0 {
		return errors.New("no command specified")
	}
	cmd := exec.CommandContext(ctx, command[0])
	cmd.Args, cmd.Env, cmd.Dir = command, p.spec.Env, p.spec.WorkDir
	cmd.Err = nil // The lookup of exec.Command saw the agent's file system.
	// A killed command may leave children with its pipes open.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Credential: &syscall.Credential{Uid: p.spec.UID, Gid: p.spec.GID, Groups: p.spec.Groups},
	}
	if streams.Terminal {
		return p.execInTerminal(cmd, streams)
	}
	cmd.Stdout, cmd.Stderr = streams.Stdout, streams.Stderr
	var input io.WriteCloser
	if streams.Stdin != nil {
		// Not cmd.Stdin: Wait would wait until the client closes its side.
		pipe, err := cmd.StdinPipe()
		if err != nil {
			return fmt.Errorf("open a pipe to the command: %w", err)
		}
		input = pipe
	}
	if err := p.startInside(cmd, cmd.Start); err != nil {
		return err
	}
	if input != nil {
		go func() {
			// Fails when the command ends before it has read all: not an error.
			_, _ = io.Copy(input, streams.Stdin)
			_ = input.Close()
		}()
	}
	return cmd.Wait()
}

// startInside calls start on a thread inside the container.
func (p *Process) startInside(cmd *exec.Cmd, start func() error) error {
	return netns.OnOwnThread(func() error {
		if err := p.enter(); err != nil {
			return err
		}
		program, err := lookPath(cmd.Args[0], cmd.Env)
		if err != nil {
			return err
		}
		cmd.Path = program
		err = start()
		if errors.Is(err, unix.ENOMEM) {
			// What a fork says in a PID namespace whose first process has ended.
			return ErrNotRunning
		}
		return err
	})
}

// enter moves the calling thread into the container.
func (p *Process) enter() error {
	mountNS, err := p.openNamespace("mnt")
	if err != nil {
		return err
	}
	defer mountNS.Close()
	pidNS, err := p.openNamespace("pid")
	if err != nil {
		return err
	}
	defer pidNS.Close()
	if err := p.sandbox.Enter(); err != nil {
		return err
	}
	if err := unix.Setns(int(pidNS.Fd()), unix.CLONE_NEWPID); err != nil {
		return fmt.Errorf("enter the container's PID namespace: %w", err)
	}
	// A mount namespace can be entered only with a root and working directory
	// that no other thread shares.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the agent's file system: %w", err)
	}
	if err := unix.Setns(int(mountNS.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the container's mount namespace: %w", err)
	}
	return nil
}

func (p *Process) openNamespace(kind string) (*os.File, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", p.cmd.Process.Pid, kind))
	// Checked after opening: a process that still runs then owned the number before.
	if _, ended := p.Exit(); ended || errors.Is(err, os.ErrNotExist) {
		if err == nil {
			file.Close()
		}
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("open a namespace of the container: %w", err)
	}
	return file, nil
}
