// SPDX-License-Identifier: GPL-3.0-or-later

// Package images says what an image name stands for on a machine that pulls
// no images: a program that is installed or was built here.
package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ErrUnknown is returned for an image that the table does not name.
var ErrUnknown = errors.New("image is not known to the lab")

// Image is the local equivalent of a container image.
type Image struct {
	Entrypoint []string `json:"entrypoint"`
	// Files maps paths in the container to paths on the machine.
	Files map[string]string `json:"files"`
	// User is "uid" or "uid:gid"; empty is root.
	User string `json:"user"`
}

// Table finds images by name. Its file is read at every look-up, so that an
// image added to a running lab is found at the next attempt to start.
type Table struct {
	path string
}

// NewTable uses the JSON file at path: an object from "<repository
// suffix>[:tag]" to Image.
func NewTable(path string) *Table {
	return &Table{path: path}
}

// Find returns the image's entry. An entry with the image's tag comes before
// one without a tag, and of several the longest repository suffix wins. It
// returns ErrUnknown when none fits.
func (t *Table) Find(name string) (*Image, error) {
	content, err := os.ReadFile(t.path)
	if err != nil {
		return nil, fmt.Errorf("read image table: %w", err)
	}
	var entries map[string]*Image
	if err := json.Unmarshal(content, &entries); err != nil {
		return nil, fmt.Errorf("read image table %s: %w", t.path, err)
	}
	repository, tag := split(name)
	if tag == "" {
		tag = "latest"
	}
	var best *Image
	bestRank := -1
	for key, entry := range entries {
		suffix, keyTag := split(key)
		if keyTag != "" && keyTag != tag || !isSuffix(repository, suffix) {
			continue
		}
		rank := len(suffix)
		if keyTag != "" {
			rank += 1 << 16
		}
		if rank > bestRank {
			best, bestRank = entry, rank
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return best, nil
}

// IDs returns the numeric user and group of the image.
func (i *Image) IDs() (uid, gid uint32, err error) {
	user, group, hasGroup := strings.Cut(i.User, ":")
	for _, part := range []struct {
		text string
		into *uint32
		used bool
	}{{user, &uid, user != ""}, {group, &gid, hasGroup}} {
		if !part.used {
			continue
		}
		number, err := strconv.ParseUint(part.text, 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("image has a user that is not numeric: %q", i.User)
		}
		*part.into = uint32(number)
	}
	return uid, gid, nil
}

// split separates repository and tag, and drops a digest.
func split(name string) (repository, tag string) {
	name, _, _ = strings.Cut(name, "@")
	// A colon before the last slash belongs to the registry's port.
	if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		return name[:colon], name[colon+1:]
	}
	return name, ""
}

func isSuffix(repository, suffix string) bool {
	return repository == suffix || strings.HasSuffix(repository, "/"+suffix)
}
