// SPDX-License-Identifier: GPL-3.0-or-later

// Package downward reads the values that the downward API offers to a pod
// about itself, for environment variables and volume files alike.
package downward

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Field returns the value of a field path of the pod, for example
// "metadata.labels['app']" or "status.podIP". The status must already hold the
// pod's addresses.
func Field(pod *corev1.Pod, path string) (string, error) {
	if base, key, hasKey := subscript(path); hasKey {
		switch base {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return lines(pod.Labels), nil
	case "metadata.annotations":
		return lines(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return pod.Status.HostIP, nil
	case "status.hostIPs":
		return joinIPs(pod.Status.HostIPs, func(ip corev1.HostIP) string { return ip.IP }), nil
	case "status.podIP":
		return pod.Status.PodIP, nil
	case "status.podIPs":
		return joinIPs(pod.Status.PodIPs, func(ip corev1.PodIP) string { return ip.IP }), nil
	}
	return "", fmt.Errorf("field path %q is not supported", path)
}

// Resource returns a limit or request of a container of the pod in units of
// the selector's divisor, rounded up. A limit that is not set is the node's capacity.
func Resource(pod *corev1.Pod, container *corev1.Container, selector *corev1.ResourceFieldSelector, capacity corev1.ResourceList) (string, error) {
	if selector.ContainerName != "" {
		if container = find(pod, selector.ContainerName); container == nil {
			return "", fmt.Errorf("container %q not found", selector.ContainerName)
		}
	}
	if container == nil {
		return "", errors.New("resource field needs a container name")
	}
	kind, name, _ := strings.Cut(selector.Resource, ".")
	var quantity resource.Quantity
	switch kind {
	case "limits":
		var set bool
		if quantity, set = container.Resources.Limits[corev1.ResourceName(name)]; !set {
			quantity = capacity[corev1.ResourceName(name)]
		}
	case "requests":
		quantity = container.Resources.Requests[corev1.ResourceName(name)]
	default:
		return "", fmt.Errorf("resource %q is not supported", selector.Resource)
	}
	value, unit := quantity.Value(), selector.Divisor.Value()
	if name == string(corev1.ResourceCPU) {
		value, unit = quantity.MilliValue(), selector.Divisor.MilliValue()
		if selector.Divisor.IsZero() {
			unit = 1000
		}
	}
	if unit == 0 {
		unit = 1
	}
	return strconv.FormatInt((value+unit-1)/unit, 10), nil
}

func find(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// subscript splits "base['key']".
func subscript(path string) (base, key string, found bool) {
	base, rest, found := strings.Cut(path, "['")
	if !found || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return base, strings.TrimSuffix(rest, "']"), true
}

// lines writes a map in the form that Kubernetes gives it in a volume's file.
func lines(values map[string]string) string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var text strings.Builder
	for _, key := range keys {
		fmt.Fprintf(&text, "%s=%q\n", key, values[key])
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func joinIPs[T any](list []T, ip func(T) string) string {
	parts := make([]string, 0, len(list))
	for _, item := range list {
		parts = append(parts, ip(item))
	}
	return strings.Join(parts, ",")
}
