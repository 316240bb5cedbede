// SPDX-License-Identifier: GPL-3.0-or-later

package images

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func table(t *testing.T, content string) *Table {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return NewTable(path)
}

func TestFind(t *testing.T) {
	entries := table(t, `{
		"proxy": {"entrypoint": ["any"]},
		"org/proxy": {"entrypoint": ["org"]},
		"proxy:v1": {"entrypoint": ["v1"]},
		"org/proxy:v2": {"entrypoint": ["org-v2"]},
		"plain:latest": {"entrypoint": ["latest"]}
	}`)
	for name, want := range map[string]string{
		"proxy":                            "any",
		"quay.io/org/proxy:v9":             "org",
		"quay.io/org/proxy:v1":             "v1",
		"quay.io/org/proxy:v2":             "org-v2",
		"localhost:5000/org/proxy:v2":      "org-v2",
		"localhost:5000/other/proxy":       "any",
		"quay.io/org/proxy:v2@sha256:abcd": "org-v2",
		"plain":                            "latest",
	} {
		image, err := entries.Find(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := image.Entrypoint[0]; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestFindUnknown(t *testing.T) {
	entries := table(t, `{"org/proxy": {"entrypoint": ["x"]}, "plain:v1": {"entrypoint": ["x"]}}`)
	for _, name := range []string{"proxy", "myorg/proxy", "xorg/proxy:v1", "plain:v2", "plain"} {
		if image, err := entries.Find(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v, %v; want ErrUnknown", name, image, err)
		}
	}
}

func TestFindReadsTheFileAgain(t *testing.T) {
	entries := table(t, `{}`)
	if _, err := entries.Find("late"); !errors.Is(err, ErrUnknown) {
		t.Fatalf("got %v, want ErrUnknown", err)
	}
	if err := os.WriteFile(entries.path, []byte(`{"late": {"entrypoint": ["x"]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := entries.Find("late"); err != nil {
		t.Errorf("added image: %v", err)
	}
}

func TestIDs(t *testing.T) {
	for user, want := range map[string][2]uint32{"": {0, 0}, "0": {0, 0}, "65534": {65534, 0}, "101:102": {101, 102}} {
		uid, gid, err := (&Image{User: user}).IDs()
		if err != nil || uid != want[0] || gid != want[1] {
			t.Errorf("%q: got %d, %d, %v; want %v", user, uid, gid, err, want)
		}
	}
	if _, _, err := (&Image{User: "nobody"}).IDs(); err == nil {
		t.Error("a user name is accepted")
	}
}
