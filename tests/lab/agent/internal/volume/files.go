// SPDX-License-Identifier: GPL-3.0-or-later

package volume

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// file is one file of a volume whose content comes from the API server.
type file struct {
	data []byte
	mode os.FileMode
}

// dataLink names the link that is exchanged when the content changes.
const dataLink = "..data"

// writeFiles makes dir show exactly the given files, by relative path. As with
// a real kubelet all files change at once: the visible names are links into
// "..data", which is itself a link to the current generation.
func writeFiles(dir string, files map[string]file, group *int64) error {
	if same(dir, files) {
		return nil
	}
	generation, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return fmt.Errorf("make volume directory: %w", err)
	}
	if err := os.Chmod(generation, 0o755); err != nil {
		return fmt.Errorf("open volume directory: %w", err)
	}
	for path, content := range files {
		if err := writeFile(filepath.Join(generation, path), content, group); err != nil {
			return err
		}
	}
	previous, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read volume: %w", err)
	}
	next := filepath.Join(dir, dataLink+"_tmp")
	if err := os.Symlink(filepath.Base(generation), next); err != nil {
		return fmt.Errorf("link volume: %w", err)
	}
	if err := os.Rename(next, filepath.Join(dir, dataLink)); err != nil {
		return fmt.Errorf("exchange volume content: %w", err)
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if previous == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, previous))
}

func writeFile(path string, content file, group *int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make volume directory: %w", err)
	}
	if err := os.WriteFile(path, content.data, content.mode); err != nil {
		return fmt.Errorf("write volume file: %w", err)
	}
	mode := content.mode
	if group != nil {
		if err := os.Chown(path, -1, int(*group)); err != nil {
			return fmt.Errorf("give volume file to group: %w", err)
		}
		mode |= 0o440
	}
	// WriteFile's mode is subject to the umask.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("set mode of volume file: %w", err)
	}
	return nil
}

// linkNames makes the visible names: one link per first part of a path.
func linkNames(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for path := range files {
		first, _, _ := strings.Cut(path, "/")
		wanted[first] = true
	}
	existing, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read volume: %w", err)
	}
	for _, entry := range existing {
		name := entry.Name()
		if strings.HasPrefix(name, "..") {
			continue
		}
		if wanted[name] {
			delete(wanted, name)
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove volume file: %w", err)
		}
	}
	for name := range wanted {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("link volume file: %w", err)
		}
	}
	return nil
}

// same tells whether dir already shows exactly these files.
func same(dir string, files map[string]file) bool {
	root := filepath.Join(dir, dataLink) + "/"
	count := 0
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		wanted, known := files[strings.TrimPrefix(path, root)]
		current, readErr := os.ReadFile(path)
		if readErr != nil || !known || !bytes.Equal(current, wanted.data) {
			return errors.New("differs")
		}
		return nil
	})
	return err == nil && count == len(files)
}
