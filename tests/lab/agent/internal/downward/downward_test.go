// SPDX-License-Identifier: GPL-3.0-or-later

package downward

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "p", Namespace: "ns", UID: "u",
			Labels:      map[string]string{"b": "2", "a": `say "hi"`},
			Annotations: map[string]string{"dotted.name/x": "y"},
		},
		Spec: corev1.PodSpec{
			NodeName: "node",
			Containers: []corev1.Container{{
				Name: "main",
				Resources: corev1.ResourceRequirements{
					Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("1Gi")},
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
				},
			}},
		},
		Status: corev1.PodStatus{HostIP: "10.9.0.1", PodIPs: []corev1.PodIP{{IP: "10.9.1.2"}, {IP: "fd00::2"}}},
	}
}

func TestField(t *testing.T) {
	for path, want := range map[string]string{
		"metadata.name":                         "p",
		"metadata.namespace":                    "ns",
		"metadata.uid":                          "u",
		"metadata.labels['b']":                  "2",
		"metadata.labels['absent']":             "",
		"metadata.annotations['dotted.name/x']": "y",
		"metadata.labels":                       "a=\"say \\\"hi\\\"\"\nb=\"2\"",
		"spec.nodeName":                         "node",
		"status.hostIP":                         "10.9.0.1",
		"status.podIPs":                         "10.9.1.2,fd00::2",
	} {
		got, err := Field(pod(), path)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := Field(pod(), "spec.priority"); err == nil {
		t.Error("an unsupported path is accepted")
	}
}

func TestResource(t *testing.T) {
	capacity := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("5Gi")}
	for _, test := range []struct{ name, divisor, want string }{
		{"limits.cpu", "0", "2"},
		{"limits.cpu", "1", "2"},
		{"limits.cpu", "1m", "1500"},
		{"requests.cpu", "0", "1"},
		{"limits.memory", "0", "1073741824"},
		{"limits.memory", "1Mi", "1024"},
		{"requests.memory", "1", "0"},
		{"limits.ephemeral-storage", "1Gi", "5"},
	} {
		selector := &corev1.ResourceFieldSelector{ContainerName: "main", Resource: test.name, Divisor: resource.MustParse(test.divisor)}
		got, err := Resource(pod(), nil, selector, capacity)
		if err != nil || got != test.want {
			t.Errorf("%s / %s: got %q, %v; want %q", test.name, test.divisor, got, err, test.want)
		}
	}
	for _, selector := range []*corev1.ResourceFieldSelector{
		{ContainerName: "absent", Resource: "limits.cpu"},
		{Resource: "limits.cpu"},
		{ContainerName: "main", Resource: "cpu"},
	} {
		if got, err := Resource(pod(), nil, selector, capacity); err == nil {
			t.Errorf("%v: got %q, want an error", selector, got)
		}
	}
}
