// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// KillLeftovers ends all processes of containers that an earlier agent with
// the same state directory has left, and waits until they are gone. Their
// mounts and namespaces go with them.
func KillLeftovers(stateDir string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		left, err := leftovers(stateDir)
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes of earlier pods do not end: %v", left)
		}
		for _, pid := range left {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d of an earlier pod: %w", pid, err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func leftovers(stateDir string) ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	marker := []byte(StateMarker + "=" + stateDir)
	var pids []int
	for _, path := range paths {
		// A process that ends meanwhile cannot be read, and has no environment
		// as a zombie: either way nothing is left to kill.
		environ, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, variable := range bytes.Split(environ, []byte{0}) {
			if !bytes.Equal(variable, marker) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, fmt.Errorf("list processes: %w", err)
			}
			pids = append(pids, pid)
			break
		}
	}
	return pids, nil
}
