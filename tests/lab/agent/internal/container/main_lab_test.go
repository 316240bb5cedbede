// SPDX-License-Identifier: GPL-3.0-or-later

//go:build lab

package container

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// insideMarker tells the test program that it runs in its own namespaces.
const insideMarker = "MESHLAB_TEST_INSIDE"

func init() {
	// As in the agent's main package: the first thread stays where it is.
	runtime.LockOSThread()
}

// TestMain runs the tests again as root in network and mount namespaces of
// their own, which stand for the node. It fails without root.
//
// The same program is the first process of the containers that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == InitCommand {
		RunInit()
	}
	if os.Getenv(insideMarker) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideMarker+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "the tests of tag lab need root:", err)
	os.Exit(1)
}
