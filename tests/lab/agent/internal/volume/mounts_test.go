// SPDX-License-Identifier: GPL-3.0-or-later

package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func unchanged(text string) string { return text }

func emptyDirVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

func TestMounts(t *testing.T) {
	set := NewSet(fake.NewClientset(configMap(map[string]string{"a": "1"})), nil, t.TempDir())
	pod := podWith(configMapVolume(), emptyDirVolume("work"))
	if err := set.Sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	container := &corev1.Container{VolumeMounts: []corev1.VolumeMount{
		{Name: "work", MountPath: "/data/deep/er"},
		{Name: "v", MountPath: "/etc/app.conf", SubPath: "a"},
		{Name: "work", MountPath: "/data", ReadOnly: true},
		{Name: "work", MountPath: "/mine", SubPathExpr: "$(POD)"},
	}}
	expand := func(text string) string { return strings.ReplaceAll(text, "$(POD)", "p") }
	mounts, err := set.Mounts(pod, container, expand)
	if err != nil {
		t.Fatal(err)
	}
	byTarget := map[string]int{}
	for i, mount := range mounts {
		byTarget[mount.Target] = i
	}
	if byTarget["/data"] > byTarget["/data/deep/er"] {
		t.Error("a child is mounted before its parent, which hides it")
	}
	file := mounts[byTarget["/etc/app.conf"]]
	if !file.ReadOnly || read(t, file.Source) != "1" {
		t.Errorf("subPath of a ConfigMap: %+v, want the file, read-only", file)
	}
	if strings.Contains(file.Source, dataLink+"/") {
		t.Errorf("subPath %s goes through the link that later changes move", file.Source)
	}
	if mine := mounts[byTarget["/mine"]]; mine.ReadOnly || mine.Source != filepath.Join(set.path("work"), "p") {
		t.Errorf("subPathExpr: %+v", mine)
	}
	if !mounts[byTarget["/data"]].ReadOnly {
		t.Error("readOnly of the mount is ignored")
	}
}

func TestSubPathStaysInside(t *testing.T) {
	set, pod := NewSet(fake.NewClientset(), nil, t.TempDir()), podWith(emptyDirVolume("work"))
	if err := set.Sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	container := &corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "work", MountPath: "/x", SubPath: "../../etc"}}}
	if mounts, err := set.Mounts(pod, container, unchanged); err == nil {
		t.Errorf("got %v, want an error", mounts)
	}
}

func TestEmptyDirIsForAll(t *testing.T) {
	set, pod := NewSet(fake.NewClientset(), nil, t.TempDir()), podWith(emptyDirVolume("work"))
	if err := set.Sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(set.path("work"))
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("mode %v, %v; want 0777", info.Mode(), err)
	}
}

func TestReferences(t *testing.T) {
	secret := corev1.Volume{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "password"}}}
	pod := podWith(configMapVolume(), secret)
	for _, test := range []struct {
		kind, name string
		want       bool
	}{{"ConfigMap", "settings", true}, {"Secret", "settings", false}, {"Secret", "password", true}, {"ConfigMap", "other", false}} {
		if got := References(pod, test.kind, test.name); got != test.want {
			t.Errorf("%s %s: got %v, want %v", test.kind, test.name, got, test.want)
		}
	}
}
