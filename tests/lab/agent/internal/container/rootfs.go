// SPDX-License-Identifier: GPL-3.0-or-later

package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// hostDir is where the machine's file system is seen while a container's root
// is built. Afterwards it is gone.
const hostDir = "/.meshlab-host"

// privateDirs are empty in a container, whatever the machine has there.
var privateDirs = []struct {
	path string
	mode string
}{{"/run", "0755"}, {"/tmp", "1777"}}

// buildRoot gives the calling process, which must be in a new mount namespace,
// the root file system of its container.
//
// Bind mounts are made after the change of root: made from outside, a target
// under /var/run would follow the absolute link to the machine's own /run.
func buildRoot(spec *Spec) error {
	unix.Umask(0o022)
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := enterOverlay(spec.Scratch); err != nil {
		return err
	}
	if err := mountKernelFilesystems(); err != nil {
		return err
	}
	if err := mountDevices(); err != nil {
		return err
	}
	for _, dir := range privateDirs {
		if err := unix.Mount("tmpfs", dir.path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode="+dir.mode); err != nil {
			return fmt.Errorf("mount %s: %w", dir.path, err)
		}
	}
	for _, mount := range spec.Mounts {
		if err := bind(mount); err != nil {
			return err
		}
	}
	// Only now: a mount point may lie inside a read-only volume, as that of
	// Istio's revocation list in the volume of its root certificate does.
	for _, mount := range spec.Mounts {
		if !mount.ReadOnly {
			continue
		}
		if err := remountReadOnly(mount.Target); err != nil {
			return err
		}
	}
	if err := unix.Unmount(hostDir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the machine's file system: %w", err)
	}
	if err := os.Remove(hostDir); err != nil {
		return fmt.Errorf("remove %s: %w", hostDir, err)
	}
	if !spec.ReadOnlyRoot {
		return nil
	}
	if err := remountReadOnly("/"); err != nil {
		return err
	}
	for _, dir := range privateDirs {
		volumeOnTop := slices.ContainsFunc(spec.Mounts, func(m Mount) bool { return filepath.Clean(m.Target) == dir.path })
		if volumeOnTop {
			continue
		}
		if err := remountReadOnly(dir.path); err != nil {
			return err
		}
	}
	return nil
}

// enterOverlay changes the root to an overlay whose lower layer is the
// machine's root and whose upper layer lives in memory.
func enterOverlay(scratch string) error {
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount scratch space %s: %w", scratch, err)
	}
	upper, work, merged := filepath.Join(scratch, "upper"), filepath.Join(scratch, "work"), filepath.Join(scratch, "merged")
	for _, dir := range []string{upper, work, merged} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make layer: %w", err)
		}
	}
	layers := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	if err := unix.Mount("overlay", merged, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount overlay of /: %w", err)
	}
	if err := os.Mkdir(merged+hostDir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", hostDir, err)
	}
	if err := unix.PivotRoot(merged, merged+hostDir); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	return unix.Chdir("/")
}

func mountKernelFilesystems() error {
	const hidden = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", "/proc", "proc", hidden, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// Sysctls outside the pod's namespaces belong to the machine.
	if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /proc/sys: %w", err)
	}
	if err := remountReadOnly("/proc/sys"); err != nil {
		return err
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", hidden|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	return nil
}

func mountDevices() error {
	if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_STRICTATIME, "mode=0755"); err != nil {
		return fmt.Errorf("mount /dev: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := bind(Mount{Source: "/dev/" + name, Target: "/dev/" + name}); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	for link, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, "/dev/"+link); err != nil {
			return fmt.Errorf("make /dev/%s: %w", link, err)
		}
	}
	return nil
}

func bind(mount Mount) error {
	source := hostDir + mount.Source
	if err := makeTarget(source, mount.Target); err != nil {
		return fmt.Errorf("make mount point %s: %w", mount.Target, err)
	}
	if err := unix.Mount(source, mount.Target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", mount.Source, mount.Target, err)
	}
	return nil
}

// makeTarget makes sure that something exists to mount on, of the source's kind.
func makeTarget(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	// A link may be left that points to what only the machine has, such as
	// /etc/resolv.conf to systemd-resolved's file in /run.
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(target, nil, 0o644)
}

func remountReadOnly(path string) error {
	// A locked flag of the mount must be repeated, or the kernel refuses.
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return fmt.Errorf("read mount flags of %s: %w", path, err)
	}
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	flags := uintptr(stat.Flags)&kept | unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", path, "", flags, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	return nil
}
