// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Descriptors that the agent passes to the first process of a container.
const (
	specFD  = 3 // the Spec as JSON
	errorFD = 4 // why the program could not start; closed by a successful exec
)

// RunInit is the main function of the first process of a container: it builds
// the container's file system, drops privileges and becomes the container's
// program. It never returns.
func RunInit() {
	// Privileges and exec belong to one thread.
	runtime.LockOSThread()
	// Whatever the agent inherited is not for the container, and a successful
	// exec must close the error pipe.
	err := unix.CloseRange(specFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		err = runInit()
	}
	message := os.NewFile(errorFD, "error pipe")
	fmt.Fprint(message, err)
	os.Exit(128)
}

func runInit() error {
	pipe := os.NewFile(specFD, "spec pipe")
	var spec Spec
	if err := json.NewDecoder(pipe).Decode(&spec); err != nil {
		return fmt.Errorf("read the container's spec: %w", err)
	}
	if err := pipe.Close(); err != nil {
		return fmt.Errorf("close the spec pipe: %w", err)
	}
	if err := buildRoot(&spec); err != nil {
		return err
	}
	if err := dropPrivileges(&spec); err != nil {
		return err
	}
	workDir := spec.WorkDir
	if workDir == "" {
		workDir = "/"
	}
	if err := unix.Chdir(workDir); err != nil {
		return fmt.Errorf("change to working directory %s: %w", workDir, err)
	}
	if len(spec.Args) == 0 {
		return errors.New("no command specified")
	}
	program, err := lookPath(spec.Args[0], spec.Env)
	if err != nil {
		return err
	}
	return fmt.Errorf("exec %s: %w", program, syscall.Exec(program, spec.Args, spec.Env))
}

func dropPrivileges(spec *Spec) error {
	groups := make([]int, 0, len(spec.Groups))
	for _, group := range spec.Groups {
		groups = append(groups, int(group))
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("set supplementary groups: %w", err)
	}
	if err := syscall.Setgid(int(spec.GID)); err != nil {
		return fmt.Errorf("set group %d: %w", spec.GID, err)
	}
	if err := syscall.Setuid(int(spec.UID)); err != nil {
		return fmt.Errorf("set user %d: %w", spec.UID, err)
	}
	if spec.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("forbid new privileges: %w", err)
		}
	}
	return nil
}
