// SPDX-License-Identifier: GPL-3.0-or-later

package env

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestExpand(t *testing.T) {
	variables := map[string]string{"A": "1", "B": "two"}
	for text, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$(A)":          "1",
		"x$(A)-$(B)y":   "x1-twoy",
		"$(UNKNOWN)":    "$(UNKNOWN)",
		"$$(A)":         "$(A)",
		"$$$(A)":        "$1",
		"$A":            "$A",
		"$(A":           "$(A",
		"cost: 5$":      "cost: 5$",
		"$(UNKNOWN)$(A": "$(UNKNOWN)$(A",
	} {
		if got := Expand(text, variables); got != want {
			t.Errorf("Expand(%q) = %q, want %q", text, got, want)
		}
	}
}

func builder() *Builder {
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "ns", Name: name} }
	client := fake.NewClientset(
		&corev1.ConfigMap{ObjectMeta: meta("settings"), Data: map[string]string{"color": "red", "size": "big"}},
		&corev1.Secret{ObjectMeta: meta("password"), Data: map[string][]byte{"word": []byte("hidden")}},
	)
	services := map[string][]*corev1.Service{
		"default": {service("kubernetes", "10.0.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: "TCP"})},
		"ns": {
			service("my-db", "10.0.0.2", corev1.ServicePort{Port: 5432, Protocol: "TCP"}),
			service("headless", corev1.ClusterIPNone, corev1.ServicePort{Port: 1, Protocol: "TCP"}),
		},
	}
	return &Builder{
		Client:   client,
		Services: func(namespace string) ([]*corev1.Service, error) { return services[namespace], nil },
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8")},
	}
}

func service(name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", Labels: map[string]string{"app": "web"}},
		Status:     corev1.PodStatus{PodIP: "10.9.1.2"},
	}
}

func TestBuild(t *testing.T) {
	yes := true
	container := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref("settings")}, Prefix: "S_"},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ref("absent"), Optional: &yes}},
		},
		Env: []corev1.EnvVar{
			{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "LABEL", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}},
			{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "WORD", ValueFrom: secretKey("word", nil)},
			{Name: "NONE", ValueFrom: secretKey("no such key", &yes)},
			{Name: "URL", Value: "http://$(IP):$(MY_DB_SERVICE_PORT)/$(WORD)"},
		},
	}
	got, err := builder().Build(t.Context(), pod(), container)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"S_color":                       "red",
		"IP":                            "10.9.1.2",
		"LABEL":                         "web",
		"CPUS":                          "8",
		"URL":                           "http://10.9.1.2:5432/hidden",
		"KUBERNETES_SERVICE_HOST":       "10.0.0.1",
		"KUBERNETES_SERVICE_PORT_HTTPS": "443",
		"MY_DB_PORT":                    "tcp://10.0.0.2:5432",
		"MY_DB_PORT_5432_TCP_ADDR":      "10.0.0.2",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"NONE", "HEADLESS_SERVICE_HOST", "color"} {
		if value, set := got[name]; set {
			t.Errorf("%s = %q, want it unset", name, value)
		}
	}
}

func TestBuildWithoutServiceLinks(t *testing.T) {
	no := false
	unlinked := pod()
	unlinked.Spec.EnableServiceLinks = &no
	got, err := builder().Build(t.Context(), unlinked, &corev1.Container{})
	if err != nil {
		t.Fatal(err)
	}
	if got["KUBERNETES_SERVICE_HOST"] != "10.0.0.1" {
		t.Error("the master Service is missing")
	}
	if _, set := got["MY_DB_SERVICE_HOST"]; set {
		t.Error("a Service of the namespace is there, though service links are off")
	}
}

func TestBuildNamesWhatIsMissing(t *testing.T) {
	for name, source := range map[string]*corev1.EnvVarSource{
		"absent":      {ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref("absent"), Key: "k"}},
		"no such key": secretKey("no such key", nil),
	} {
		container := &corev1.Container{Env: []corev1.EnvVar{{Name: "X", ValueFrom: source}}}
		if _, err := builder().Build(t.Context(), pod(), container); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one that names %q", err, name)
		}
	}
}

func TestListIsSorted(t *testing.T) {
	got := List(map[string]string{"B": "2", "A": "1"})
	if want := []string{"A=1", "B=2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func ref(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

func secretKey(key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ref("password"), Key: key, Optional: optional}}
}
