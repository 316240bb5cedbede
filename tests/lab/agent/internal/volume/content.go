// SPDX-License-Identifier: GPL-3.0-or-later

package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"meshops.example/lab/agent/internal/downward"
)

// content returns the files of a volume, by path.
func (s *Set) content(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (map[string]file, error) {
	switch {
	case volume.ConfigMap != nil:
		source := volume.ConfigMap
		return s.configMap(ctx, pod.Namespace, source.Name, selection{source.Items, source.DefaultMode, source.Optional})
	case volume.Secret != nil:
		source := volume.Secret
		return s.secret(ctx, pod.Namespace, source.SecretName, selection{source.Items, source.DefaultMode, source.Optional})
	case volume.DownwardAPI != nil:
		return s.downwardAPI(pod, volume.DownwardAPI.Items, volume.DownwardAPI.DefaultMode)
	case volume.Projected != nil:
		return s.projected(ctx, pod, volume)
	}
	return nil, errors.New("the lab's node agent has no volumes of this type")
}

func (s *Set) projected(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (map[string]file, error) {
	mode := volume.Projected.DefaultMode
	all := map[string]file{}
	for i, source := range volume.Projected.Sources {
		var part map[string]file
		var err error
		switch {
		case source.ServiceAccountToken != nil:
			key := fmt.Sprintf("%s/%d", volume.Name, i)
			part, err = s.serviceAccountToken(ctx, pod, key, source.ServiceAccountToken, mode)
		case source.ConfigMap != nil:
			part, err = s.configMap(ctx, pod.Namespace, source.ConfigMap.Name, selection{source.ConfigMap.Items, mode, source.ConfigMap.Optional})
		case source.Secret != nil:
			part, err = s.secret(ctx, pod.Namespace, source.Secret.Name, selection{source.Secret.Items, mode, source.Secret.Optional})
		case source.DownwardAPI != nil:
			part, err = s.downwardAPI(pod, source.DownwardAPI.Items, mode)
		default:
			err = errors.New("the lab's node agent does not know this projected source")
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(all, part)
	}
	return all, nil
}

// selection says which keys of an object become files, and how.
type selection struct {
	items    []corev1.KeyToPath
	mode     *int32
	optional *bool
}

func (s *Set) configMap(ctx context.Context, namespace, name string, selected selection) (map[string]file, error) {
	object, err := s.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && selected.isOptional() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data := make(map[string][]byte, len(object.Data)+len(object.BinaryData))
	for key, value := range object.Data {
		data[key] = []byte(value)
	}
	maps.Copy(data, object.BinaryData)
	return selected.files(data, "ConfigMap "+name)
}

func (s *Set) secret(ctx context.Context, namespace, name string, selected selection) (map[string]file, error) {
	object, err := s.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && selected.isOptional() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return selected.files(object.Data, "Secret "+name)
}

func (s *Set) downwardAPI(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode *int32) (map[string]file, error) {
	files := map[string]file{}
	for _, item := range items {
		var value string
		var err error
		if item.FieldRef != nil {
			value, err = downward.Field(pod, item.FieldRef.FieldPath)
		} else {
			value, err = downward.Resource(pod, nil, item.ResourceFieldRef, s.capacity)
		}
		if err != nil {
			return nil, err
		}
		files[item.Path] = file{data: []byte(value), mode: fileMode(item.Mode, mode)}
	}
	return files, nil
}

func (s selection) isOptional() bool { return s.optional != nil && *s.optional }

func (s selection) files(data map[string][]byte, from string) (map[string]file, error) {
	files := map[string]file{}
	if len(s.items) == 0 {
		for key, value := range data {
			files[key] = file{data: value, mode: fileMode(nil, s.mode)}
		}
		return files, nil
	}
	for _, item := range s.items {
		value, found := data[item.Key]
		if !found {
			if s.isOptional() {
				continue
			}
			return nil, fmt.Errorf("%s has no key %q", from, item.Key)
		}
		files[item.Path] = file{data: value, mode: fileMode(item.Mode, s.mode)}
	}
	return files, nil
}

// fileMode is the first of the modes that is set; the API server's default is 0644.
func fileMode(modes ...*int32) os.FileMode {
	for _, mode := range modes {
		if mode != nil {
			return os.FileMode(*mode)
		}
	}
	return 0o644
}
