// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// execInTerminal runs the command in a terminal of the container's own devpts.
func (p *Process) execInTerminal(cmd *exec.Cmd, streams Streams) error {
	// As containerd does; a TERM of the container comes later and wins.
	cmd.Env = append([]string{"TERM=xterm"}, cmd.Env...)
	var master *os.File
	err := p.startInside(cmd, func() error {
		var slave *os.File
		var err error
		if master, slave, err = openTerminal(int(p.spec.UID)); err != nil {
			return err
		}
		defer slave.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr.Setctty = true
		return cmd.Start()
	})
	if master != nil {
		defer master.Close()
	}
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go resize(master, streams.Sizes, ended)
	if streams.Stdin != nil {
		// Both copies fail when the command ends, which closes its side.
		go func() { _, _ = io.Copy(master, streams.Stdin) }()
	}
	output := streams.Stdout
	if output == nil {
		output = io.Discard
	}
	_, _ = io.Copy(output, master)
	return cmd.Wait()
}

// openTerminal opens a new terminal, seen from the root of the calling thread.
func openTerminal(uid int) (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	slave, err = openSlave(master, uid)
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	return master, slave, nil
}

func openSlave(master *os.File, uid int) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return slave, slave.Chown(uid, -1)
}

// resize gives the terminal the client's sizes until the command has ended.
func resize(master *os.File, sizes <-chan remotecommand.TerminalSize, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case size, open := <-sizes:
			if !open {
				return
			}
			// Fails only when the command has just ended.
			_ = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		}
	}
}
