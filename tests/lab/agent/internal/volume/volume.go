// SPDX-License-Identifier: GPL-3.0-or-later

// Package volume makes the volumes of a pod as directories on the machine,
// keeps those that come from the API server up to date, and says how they are
// mounted into containers.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"meshops.example/lab/agent/internal/container"
)

// Set is the volumes of one pod. It is not safe for concurrent use.
type Set struct {
	client   kubernetes.Interface
	capacity corev1.ResourceList
	dir      string
	tokens   map[string]*token
}

// NewSet keeps its volumes below dir. The capacity is that of the node.
func NewSet(client kubernetes.Interface, capacity corev1.ResourceList, dir string) *Set {
	return &Set{client: client, capacity: capacity, dir: dir, tokens: map[string]*token{}}
}

// Sync makes the volumes that are missing and rewrites those whose content has
// changed on the API server. The pod's status must hold its addresses. An
// error names the first volume that cannot be made, and why.
func (s *Set) Sync(ctx context.Context, pod *corev1.Pod) error {
	for i := range pod.Spec.Volumes {
		if err := s.syncOne(ctx, pod, &pod.Spec.Volumes[i]); err != nil {
			return fmt.Errorf("volume %q: %w", pod.Spec.Volumes[i].Name, err)
		}
	}
	return nil
}

func (s *Set) syncOne(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) error {
	dir := s.path(volume.Name)
	if volume.HostPath != nil {
		return checkHostPath(volume.HostPath)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	var group *int64
	if pod.Spec.SecurityContext != nil {
		group = pod.Spec.SecurityContext.FSGroup
	}
	if volume.EmptyDir != nil {
		return openEmptyDir(dir, group)
	}
	files, err := s.content(ctx, pod, volume)
	if err != nil {
		return err
	}
	return writeFiles(dir, files, group)
}

// NextTokenRefresh returns when Sync must run again for the sake of a service
// account token, and false if the pod has none.
func (s *Set) NextTokenRefresh() (time.Time, bool) {
	var next time.Time
	for _, token := range s.tokens {
		if next.IsZero() || token.refreshAt.Before(next) {
			next = token.refreshAt
		}
	}
	return next, !next.IsZero()
}

// References tells whether the pod has a volume from the named ConfigMap or Secret.
func References(pod *corev1.Pod, kind, name string) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.ConfigMap != nil && kind == "ConfigMap" && volume.ConfigMap.Name == name {
			return true
		}
		if volume.Secret != nil && kind == "Secret" && volume.Secret.SecretName == name {
			return true
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ConfigMap != nil && kind == "ConfigMap" && source.ConfigMap.Name == name {
				return true
			}
			if source.Secret != nil && kind == "Secret" && source.Secret.Name == name {
				return true
			}
		}
	}
	return false
}

// Mounts returns the mounts of a container, parents first. Sync must have
// succeeded before. The variables are those of the container, for subPathExpr.
func (s *Set) Mounts(pod *corev1.Pod, spec *corev1.Container, expand func(string) string) ([]container.Mount, error) {
	mounts := make([]container.Mount, 0, len(spec.VolumeMounts))
	for _, mount := range spec.VolumeMounts {
		source, writable, err := s.source(pod, mount.Name)
		if err != nil {
			return nil, err
		}
		subPath := mount.SubPath
		if mount.SubPathExpr != "" {
			subPath = expand(mount.SubPathExpr)
		}
		if subPath != "" {
			if source, err = resolveSubPath(source, subPath, writable); err != nil {
				return nil, fmt.Errorf("volume %q: %w", mount.Name, err)
			}
		}
		mounts = append(mounts, container.Mount{Source: source, Target: mount.MountPath, ReadOnly: mount.ReadOnly || !writable})
	}
	sort.SliceStable(mounts, func(i, j int) bool {
		return depth(mounts[i].Target) < depth(mounts[j].Target)
	})
	return mounts, nil
}

func (s *Set) path(name string) string { return filepath.Join(s.dir, name) }

// source returns where the volume is on the machine. Only volumes without
// content from the API server are writable.
func (s *Set) source(pod *corev1.Pod, name string) (path string, writable bool, err error) {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name != name {
			continue
		}
		if volume.HostPath != nil {
			return volume.HostPath.Path, true, nil
		}
		return s.path(name), volume.EmptyDir != nil, nil
	}
	return "", false, fmt.Errorf("volume %q not found", name)
}

// resolveSubPath follows the links of a volume now. So, as in Kubernetes, a
// mount with subPath never shows later changes.
func resolveSubPath(volume, subPath string, writable bool) (string, error) {
	if !filepath.IsLocal(subPath) {
		return "", fmt.Errorf("subPath %q must stay inside the volume", subPath)
	}
	path := filepath.Join(volume, subPath)
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) && writable {
		if err := os.MkdirAll(path, 0o777); err != nil {
			return "", fmt.Errorf("make subPath %q: %w", subPath, err)
		}
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("subPath %q: %w", subPath, err)
	}
	return resolved, nil
}

func openEmptyDir(dir string, group *int64) error {
	mode := os.FileMode(0o777)
	if group != nil {
		if err := os.Chown(dir, -1, int(*group)); err != nil {
			return fmt.Errorf("give directory to group: %w", err)
		}
		mode |= os.ModeSetgid
	}
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	return nil
}

func checkHostPath(source *corev1.HostPathVolumeSource) error {
	if source.Type != nil && *source.Type == corev1.HostPathDirectoryOrCreate {
		return os.MkdirAll(source.Path, 0o755)
	}
	if _, err := os.Stat(source.Path); err != nil {
		return fmt.Errorf("hostPath: %w", err)
	}
	return nil
}

func depth(path string) int { return strings.Count(filepath.Clean(path), "/") }
