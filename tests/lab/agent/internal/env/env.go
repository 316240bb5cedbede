// SPDX-License-Identifier: GPL-3.0-or-later

// Package env builds the environment of a container as Kubernetes defines it.
package env

import (
	"context"
	"fmt"
	"sort"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"meshops.example/lab/agent/internal/downward"
)

// Builder builds environments from what the API server holds.
type Builder struct {
	Client kubernetes.Interface
	// Services lists the Services of a namespace; the master Service
	// "default/kubernetes" is looked for there too.
	Services func(namespace string) ([]*corev1.Service, error)
	Capacity corev1.ResourceList
}

// Build returns the variables of a container of the pod, whose status must
// hold its addresses. Later sources win over earlier ones: Services, envFrom,
// env. An error names what the pod refers to and is not there.
func (b *Builder) Build(ctx context.Context, pod *corev1.Pod, container *corev1.Container) (map[string]string, error) {
	result, err := b.serviceVariables(pod)
	if err != nil {
		return nil, err
	}
	for _, source := range container.EnvFrom {
		values, err := b.allOf(ctx, pod.Namespace, source)
		if err != nil {
			return nil, err
		}
		for key, value := range values {
			result[source.Prefix+key] = value
		}
	}
	for _, variable := range container.Env {
		if variable.ValueFrom == nil {
			result[variable.Name] = Expand(variable.Value, result)
			continue
		}
		value, set, err := b.valueFrom(ctx, pod, container, variable.ValueFrom)
		if err != nil {
			return nil, err
		}
		if set {
			result[variable.Name] = value
		}
	}
	return result, nil
}

// List turns variables into the form "NAME=value", sorted.
func List(variables map[string]string) []string {
	list := make([]string, 0, len(variables))
	for name, value := range variables {
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return list
}

func (b *Builder) allOf(ctx context.Context, namespace string, source corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case source.ConfigMapRef != nil:
		ref := source.ConfigMapRef
		object, err := b.Client.CoreV1().ConfigMaps(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if absent(err) && isTrue(ref.Optional) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return object.Data, nil
	case source.SecretRef != nil:
		ref := source.SecretRef
		object, err := b.Client.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if absent(err) && isTrue(ref.Optional) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		values := make(map[string]string, len(object.Data))
		for key, value := range object.Data {
			values[key] = string(value)
		}
		return values, nil
	}
	return nil, nil
}

func (b *Builder) valueFrom(ctx context.Context, pod *corev1.Pod, container *corev1.Container, source *corev1.EnvVarSource) (value string, set bool, err error) {
	switch {
	case source.FieldRef != nil:
		value, err = downward.Field(pod, source.FieldRef.FieldPath)
		return value, true, err
	case source.ResourceFieldRef != nil:
		value, err = downward.Resource(pod, container, source.ResourceFieldRef, b.Capacity)
		return value, true, err
	case source.ConfigMapKeyRef != nil:
		ref := source.ConfigMapKeyRef
		object, err := b.Client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, ignoreAbsent(err, ref.Optional)
		}
		value, set = object.Data[ref.Key]
		return value, set, missingKey(set, ref.Optional, "ConfigMap", pod.Namespace, ref.Name, ref.Key)
	case source.SecretKeyRef != nil:
		ref := source.SecretKeyRef
		object, err := b.Client.CoreV1().Secrets(pod.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return "", false, ignoreAbsent(err, ref.Optional)
		}
		data, set := object.Data[ref.Key]
		return string(data), set, missingKey(set, ref.Optional, "Secret", pod.Namespace, ref.Name, ref.Key)
	}
	return "", false, fmt.Errorf("source of environment variable is not supported")
}

func absent(err error) bool { return apierrors.IsNotFound(err) }

func isTrue(value *bool) bool { return value != nil && *value }

func ignoreAbsent(err error, optional *bool) error {
	if absent(err) && isTrue(optional) {
		return nil
	}
	return err
}

func missingKey(found bool, optional *bool, kind, namespace, name, key string) error {
	if found || isTrue(optional) {
		return nil
	}
	return fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, namespace, name)
}
