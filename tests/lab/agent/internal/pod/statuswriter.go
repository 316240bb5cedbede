// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
)

// statusWriter brings a pod's status to the API server, always the newest one.
//
// It patches: only what differs from the newest known status is sent, and only
// for the pod with this UID. So it can neither undo what the scheduler or an
// eviction writes to the same status, nor touch a new pod of the same name.
// And it repairs what others write to the agent's own fields: the node
// lifecycle controller makes pods unready while it misses the node's lease.
type statusWriter struct {
	client kubernetes.Interface
	newest chan *snapshot
	done   chan struct{}

	mu   sync.Mutex
	base *corev1.Pod
}

func newStatusWriter(client kubernetes.Interface, pod *corev1.Pod) *statusWriter {
	return &statusWriter{client: client, base: pod, newest: make(chan *snapshot, 1), done: make(chan struct{})}
}

// observe takes the pod as the API server shows it, unless a newer version of
// it is known.
func (s *statusWriter) observe(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, s.base.ResourceVersion)
	// Versions that cannot be compared are taken in the order of the calls.
	if err != nil || order > 0 {
		s.base = pod
	}
}

func (s *statusWriter) known() *corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// submit replaces a status that was not written yet. Called by one goroutine.
func (s *statusWriter) submit(newest *snapshot) {
	select {
	case <-s.newest:
	default:
	}
	s.newest <- newest
}

// finish writes what was submitted last and ends run.
func (s *statusWriter) finish() {
	close(s.newest)
	<-s.done
}

// run writes until finish, or until ctx or the pod ends.
func (s *statusWriter) run(ctx context.Context) {
	defer close(s.done)
	for newest := range s.newest {
		for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
			err := s.write(ctx, newest)
			if err == nil || ctx.Err() != nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
				break
			}
			slog.Warn("cannot write pod status, will retry", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(delay):
			}
			if len(s.newest) > 0 {
				break
			}
		}
	}
}

func (s *statusWriter) write(ctx context.Context, newest *snapshot) error {
	base := s.known()
	patch, err := statusPatch(base, newest.status(base))
	if err != nil || patch == nil {
		return err
	}
	updated, err := s.client.CoreV1().Pods(base.Namespace).Patch(
		ctx, base.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch status of pod %s/%s: %w", base.Namespace, base.Name, err)
	}
	s.observe(updated)
	return nil
}

// statusPatch returns nil when there is nothing to change.
func statusPatch(base *corev1.Pod, status corev1.PodStatus) ([]byte, error) {
	// The UID is only in the new version, so the patch sets it: the API server
	// refuses to change a UID, which makes it a precondition.
	before, err := json.Marshal(corev1.Pod{Status: base.Status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: base.UID}, Status: status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("compute status patch: %w", err)
	}
	if !bytes.Contains(patch, []byte(`"status":`)) {
		return nil, nil
	}
	return patch, nil
}
