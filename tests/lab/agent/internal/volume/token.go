// SPDX-License-Identifier: GPL-3.0-or-later

package volume

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// token is a service account token and when it is to be replaced.
type token struct {
	value     string
	refreshAt time.Time
}

// serviceAccountToken returns the token's file. The token is bound to the pod,
// so it becomes invalid when the pod is deleted. Like a kubelet it is replaced
// after 80 % of its life; the key tells several tokens of a pod apart.
func (s *Set) serviceAccountToken(ctx context.Context, pod *corev1.Pod, key string, source *corev1.ServiceAccountTokenProjection, mode *int32) (map[string]file, error) {
	current := s.tokens[key]
	if current == nil || time.Now().After(current.refreshAt) {
		var err error
		if current, err = s.requestToken(ctx, pod, source); err != nil {
			return nil, err
		}
		s.tokens[key] = current
	}
	return map[string]file{source.Path: {data: []byte(current.value), mode: fileMode(mode)}}, nil
}

func (s *Set) requestToken(ctx context.Context, pod *corev1.Pod, source *corev1.ServiceAccountTokenProjection) (*token, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	accounts := s.client.CoreV1().ServiceAccounts(pod.Namespace)
	requestedAt := time.Now()
	answer, err := accounts.CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("request a token of service account %s: %w", pod.Spec.ServiceAccountName, err)
	}
	life := answer.Status.ExpirationTimestamp.Sub(requestedAt)
	return &token{value: answer.Status.Token, refreshAt: requestedAt.Add(life * 8 / 10)}, nil
}
