// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLookPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{
		filepath.Join(first, "data"):  0o644,
		filepath.Join(second, "data"): 0o755,
		filepath.Join(second, "tool"): 0o755,
	} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"X=1", "PATH=" + first + ":" + second}
	for name, want := range map[string]string{
		"tool":     filepath.Join(second, "tool"),
		"data":     filepath.Join(second, "data"),
		"./tool":   "./tool",
		"/bin/any": "/bin/any",
	} {
		if got, err := lookPath(name, env); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := lookPath("absent", env); err == nil {
		t.Errorf("got %q for a program that is not there", got)
	}
}

func TestDefaultPath(t *testing.T) {
	if got := pathOf([]string{"HOME=/"}); got != DefaultPath {
		t.Errorf("got %q, want the default", got)
	}
}
