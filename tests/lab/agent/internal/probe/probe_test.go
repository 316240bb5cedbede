// SPDX-License-Identifier: GPL-3.0-or-later

package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func httpProbe(path string, port intstr.IntOrString) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: port}}}
}

func serve(t *testing.T, handler http.HandlerFunc) (*Target, intstr.IntOrString) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &Target{IP: address.Hostname()}, intstr.Parse(address.Port())
}

func TestHTTPGet(t *testing.T) {
	target, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ready":
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		case "/host":
			if r.Host != "app.example" {
				w.WriteHeader(http.StatusBadRequest)
			}
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for path, healthy := range map[string]bool{"/ready": true, "ready": true, "/moved": true, "/broken": false, "/host": false} {
		if err := target.once(t.Context(), httpProbe(path, port)); (err == nil) != healthy {
			t.Errorf("%s: got %v, want healthy=%v", path, err, healthy)
		}
	}
	withHost := httpProbe("/host", port)
	withHost.HTTPGet.HTTPHeaders = []corev1.HTTPHeader{{Name: "host", Value: "app.example"}}
	if err := target.once(t.Context(), withHost); err != nil {
		t.Errorf("a Host header is not sent: %v", err)
	}
}

func TestNamedPort(t *testing.T) {
	target, port := serve(t, func(http.ResponseWriter, *http.Request) {})
	target.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: port.IntVal}}
	if err := target.once(t.Context(), httpProbe("/", intstr.FromString("web"))); err != nil {
		t.Error(err)
	}
	if err := target.once(t.Context(), httpProbe("/", intstr.FromString("absent"))); err == nil {
		t.Error("a port that is not named is accepted")
	}
}

func TestTCPSocket(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := intstr.FromInt32(int32(listener.Addr().(*net.TCPAddr).Port))
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port}}}
	target := &Target{IP: "127.0.0.1"}
	if err := target.once(t.Context(), probe); err != nil {
		t.Error(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := target.once(t.Context(), probe); err == nil {
		t.Error("a closed port is healthy")
	}
}

// script is a target whose exec probe answers by turns.
func script(results ...error) *Target {
	var calls atomic.Int32
	return &Target{Exec: func(context.Context, []string) error {
		call := int(calls.Add(1)) - 1
		return results[min(call, len(results)-1)]
	}}
}

func run(t *testing.T, spec *corev1.Probe, target *Target, duration time.Duration) []error {
	t.Helper()
	spec.Exec = &corev1.ExecAction{}
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var reports []error
	Run(ctx, spec, target, func(err error) { reports = append(reports, err) })
	return reports
}

func TestBecomesHealthyBeforeItsPeriod(t *testing.T) {
	broken := errors.New("not yet")
	reports := run(t, &corev1.Probe{PeriodSeconds: 60}, script(broken, broken, nil), time.Second)
	if len(reports) != 1 || reports[0] != nil {
		t.Errorf("got %v, want one success within a second", reports)
	}
}

func TestEagerFailuresCountOncePerPeriod(t *testing.T) {
	broken := errors.New("broken")
	if reports := run(t, &corev1.Probe{PeriodSeconds: 60, FailureThreshold: 2}, script(broken), time.Second); len(reports) != 0 {
		t.Errorf("got %v, want no failure before the second period", reports)
	}
	if reports := run(t, &corev1.Probe{PeriodSeconds: 60, FailureThreshold: 1}, script(broken), 100*time.Millisecond); len(reports) != 1 {
		t.Errorf("got %v, want a failure at once", reports)
	}
}

func TestSuccessThreshold(t *testing.T) {
	reports := run(t, &corev1.Probe{PeriodSeconds: 1, SuccessThreshold: 3}, script(nil), 1500*time.Millisecond)
	if len(reports) != 0 {
		t.Errorf("got %v after two successes of three", reports)
	}
}
