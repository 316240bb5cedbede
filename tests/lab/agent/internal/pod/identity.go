// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
	"meshops.example/lab/agent/internal/images"
)

// identity returns a spec with user, groups and restrictions: the container's
// security context comes before the pod's, and both before the image's user.
func identity(pod *corev1.Pod, spec *corev1.Container, image *images.Image) (*container.Spec, error) {
	uid, gid, err := image.IDs()
	if err != nil {
		return nil, err
	}
	result := &container.Spec{UID: uid, GID: gid}
	var nonRoot *bool
	if context := pod.Spec.SecurityContext; context != nil {
		setID(&result.UID, context.RunAsUser)
		setID(&result.GID, context.RunAsGroup)
		nonRoot = context.RunAsNonRoot
		for _, group := range context.SupplementalGroups {
			result.Groups = append(result.Groups, uint32(group))
		}
		if context.FSGroup != nil {
			result.Groups = append(result.Groups, uint32(*context.FSGroup))
		}
	}
	if context := spec.SecurityContext; context != nil {
		setID(&result.UID, context.RunAsUser)
		setID(&result.GID, context.RunAsGroup)
		if context.RunAsNonRoot != nil {
			nonRoot = context.RunAsNonRoot
		}
		result.ReadOnlyRoot = context.ReadOnlyRootFilesystem != nil && *context.ReadOnlyRootFilesystem
		result.NoNewPrivileges = context.AllowPrivilegeEscalation != nil && !*context.AllowPrivilegeEscalation
	}
	if nonRoot != nil && *nonRoot && result.UID == 0 {
		return nil, errors.New("container has runAsNonRoot and image will run as root")
	}
	return result, nil
}

func setID(id *uint32, wanted *int64) {
	if wanted != nil {
		*id = uint32(*wanted)
	}
}

// home is what a container runtime finds in an image's /etc/passwd.
func home(uid uint32) string {
	if uid == 0 {
		return "/root"
	}
	return "/"
}
