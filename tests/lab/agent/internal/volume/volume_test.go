// SPDX-License-Identifier: GPL-3.0-or-later

package volume

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func podWith(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Volumes: volumes, ServiceAccountName: "account"},
	}
}

func configMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "settings"}, Data: data}
}

func configMapVolume() corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "settings"},
	}}}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestConfigMapFollowsChanges(t *testing.T) {
	client := fake.NewClientset(configMap(map[string]string{"a": "1", "gone": "x"}))
	set, pod := NewSet(client, nil, t.TempDir()), podWith(configMapVolume())
	if err := set.Sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	dir := set.path("v")
	if got := read(t, filepath.Join(dir, "a")); got != "1" {
		t.Errorf("a = %q, want 1", got)
	}
	changed := configMap(map[string]string{"a": "2", "new": "y"})
	if _, err := client.CoreV1().ConfigMaps("ns").Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := set.Sync(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "a")) + read(t, filepath.Join(dir, "new")); got != "2y" {
		t.Errorf("after the change: %q, want 2y", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("a removed key is still there: %v", err)
	}
	if generations, _ := filepath.Glob(filepath.Join(dir, "..2*")); len(generations) != 1 {
		t.Errorf("old generations stay: %v", generations)
	}
}

func TestUnchangedContentIsNotRewritten(t *testing.T) {
	set, pod := NewSet(fake.NewClientset(configMap(map[string]string{"a": "1"})), nil, t.TempDir()), podWith(configMapVolume())
	var generations [2]string
	for i := range generations {
		if err := set.Sync(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		generations[i], _ = os.Readlink(filepath.Join(set.path("v"), dataLink))
	}
	if generations[0] != generations[1] || generations[0] == "" {
		t.Errorf("content was written again: %v", generations)
	}
}

func TestMissingObject(t *testing.T) {
	set := NewSet(fake.NewClientset(), nil, t.TempDir())
	if err := set.Sync(t.Context(), podWith(configMapVolume())); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("got %v, want an error that names the ConfigMap", err)
	}
	yes := true
	optional := configMapVolume()
	optional.ConfigMap.Optional = &yes
	if err := set.Sync(t.Context(), podWith(optional)); err != nil {
		t.Errorf("an optional ConfigMap that is absent: %v", err)
	}
}

func TestProjectedVolume(t *testing.T) {
	client := fake.NewClientset(configMap(map[string]string{"ca.crt": "CA", "other": "x"}))
	requests := answerTokens(client, time.Hour)
	audience, mode := "istio-ca", int32(0o400)
	pod := podWith(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: audience}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "settings"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "certs/root.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			}}},
		},
	}}})
	set := NewSet(client, nil, t.TempDir())
	for range 2 {
		if err := set.Sync(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	dir := set.path("v")
	for path, want := range map[string]string{"token": "token-1", "certs/root.crt": "CA", "labels": `app="web"`} {
		if got := read(t, filepath.Join(dir, path)); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); !os.IsNotExist(err) {
		t.Errorf("a key that was not selected is there: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "token"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("token: mode %v, %v; want 0400", info.Mode(), err)
	}
	if len(*requests) != 1 {
		t.Fatalf("%d token requests, want 1", len(*requests))
	}
	spec := (*requests)[0].Spec
	if spec.BoundObjectRef.UID != "u" || spec.Audiences[0] != audience {
		t.Errorf("token request %+v is not bound to the pod and audience", spec)
	}
	next, has := set.NextTokenRefresh()
	if wait := time.Until(next); !has || wait < 40*time.Minute || wait > 50*time.Minute {
		t.Errorf("next refresh in %v, want 80 %% of an hour", wait)
	}
}

func TestTokenIsRefreshed(t *testing.T) {
	client := fake.NewClientset()
	requests := answerTokens(client, -time.Minute)
	pod := podWith(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}},
	}}})
	set := NewSet(client, nil, t.TempDir())
	for range 2 {
		if err := set.Sync(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, filepath.Join(set.path("v"), "token")); got != "token-2" || len(*requests) != 2 {
		t.Errorf("token %q after %d requests, want token-2 after 2", got, len(*requests))
	}
}

// answerTokens makes the fake API server issue "token-1", "token-2" and so on.
func answerTokens(client *fake.Clientset, life time.Duration) *[]*authenticationv1.TokenRequest {
	var requests []*authenticationv1.TokenRequest
	client.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		request := action.(clienttesting.CreateAction).GetObject().(*authenticationv1.TokenRequest).DeepCopy()
		requests = append(requests, request)
		request.Status.Token = "token-" + string(rune('0'+len(requests)))
		request.Status.ExpirationTimestamp = metav1.NewTime(time.Now().Add(life))
		return true, request, nil
	})
	return &requests
}

func TestUnsupportedVolume(t *testing.T) {
	set := NewSet(fake.NewClientset(), nil, t.TempDir())
	pod := podWith(corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d"}}})
	if err := set.Sync(t.Context(), pod); err == nil || !strings.Contains(err.Error(), `"disk"`) {
		t.Errorf("got %v, want an error that names the volume", err)
	}
}
