// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"fmt"
	"os"
)

// pipes are one side of all pipes between the agent and a container.
type pipes struct {
	stdout, stderr, spec, failure *os.File
}

func (p *pipes) close() {
	for _, file := range []*os.File{p.stdout, p.stderr, p.spec, p.failure} {
		if file != nil {
			// Closing twice is harmless and the only possible error.
			_ = file.Close()
		}
	}
}

// openPipes opens the pipes. Programs such as Envoy open /dev/stdout by its
// name again, which the kernel allows only to the owner of the pipe: so the
// container's user becomes the owner.
func openPipes(ours, theirs *pipes, spec Spec) error {
	for _, pipe := range []struct{ read, write **os.File }{
		{&ours.stdout, &theirs.stdout},
		{&ours.stderr, &theirs.stderr},
		{&theirs.spec, &ours.spec},
		{&ours.failure, &theirs.failure},
	} {
		var err error
		if *pipe.read, *pipe.write, err = os.Pipe(); err != nil {
			return fmt.Errorf("open a pipe to the container: %w", err)
		}
	}
	for _, output := range []*os.File{theirs.stdout, theirs.stderr} {
		if err := output.Chown(int(spec.UID), int(spec.GID)); err != nil {
			return fmt.Errorf("give a pipe to the container's user: %w", err)
		}
	}
	return nil
}
