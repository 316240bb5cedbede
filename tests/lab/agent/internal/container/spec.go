// SPDX-License-Identifier: GPL-3.0-or-later

// Package container stands in for a container runtime. A container is a
// process in new mount and PID namespaces, in the network namespace of its
// pod, with the machine's own file system as its lower layer: an image has no
// content of its own but a few files that are bound into that view.
//
// Not here, because the lab has no use for it: cgroups (no limit is enforced),
// user namespaces, seccomp, and dropping of single capabilities (a process
// that is not root has none, a root process has all).
package container

import "time"

// InitCommand is the argument by which the agent's program, started again as
// the first process of a container, knows its task.
const InitCommand = "container-init"

// Environment of every process of a container, by which a later agent or
// `meshlab down` finds what a killed agent left.
const (
	PodMarker   = "MESHLAB_POD"   // the pod's UID
	StateMarker = "MESHLAB_STATE" // the agent's state directory
)

// Mount is a bind mount of a host path into a container.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}

// Spec is what the first process of a container makes real before it becomes
// the container's program.
type Spec struct {
	// Scratch is an empty host directory: mount point of the container's layers.
	Scratch string
	// Mounts in the order in which they are made. Parents come first.
	Mounts []Mount
	// Args[0] is looked up in the PATH of Env, inside the container.
	Args            []string
	Env             []string
	WorkDir         string
	UID             uint32
	GID             uint32
	Groups          []uint32
	ReadOnlyRoot    bool
	NoNewPrivileges bool
}

// Exit tells how a container ended.
type Exit struct {
	// Code is the exit status, or 128 plus the signal's number.
	Code   int
	Signal int
	At     time.Time
}
