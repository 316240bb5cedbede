// SPDX-License-Identifier: GPL-3.0-or-later

// Package probe checks containers as Kubernetes' probes define it.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Target is the container that is probed.
type Target struct {
	IP    string
	Ports []corev1.ContainerPort
	// Exec runs a command in the container; an error means failure.
	Exec func(ctx context.Context, command []string) error
}

// check asks once. An error says why the probe failed.
func (t *Target) check(ctx context.Context, handler corev1.ProbeHandler) error {
	switch {
	case handler.HTTPGet != nil:
		return t.httpGet(ctx, handler.HTTPGet)
	case handler.TCPSocket != nil:
		port, err := t.port(handler.TCPSocket.Port)
		if err != nil {
			return err
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(t.host(handler.TCPSocket.Host), port))
		if err != nil {
			return err
		}
		return conn.Close()
	case handler.Exec != nil:
		return t.Exec(ctx, handler.Exec.Command)
	}
	return errors.New("the lab's node agent knows httpGet, tcpSocket and exec probes only")
}

func (t *Target) httpGet(ctx context.Context, action *corev1.HTTPGetAction) error {
	port, err := t.port(action.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if action.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(t.host(action.Host), port) + "/" + trimSlash(action.Path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.37")
	for _, header := range action.HTTPHeaders {
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			// Kubernetes does not verify the certificate of a probed container.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		// A redirection counts as success by its status.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 10<<10)); err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func (t *Target) host(host string) string {
	if host == "" {
		return t.IP
	}
	return host
}

func (t *Target) port(port intstr.IntOrString) (string, error) {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue()), nil
	}
	for _, named := range t.Ports {
		if named.Name == port.StrVal {
			return strconv.Itoa(int(named.ContainerPort)), nil
		}
	}
	if _, err := strconv.Atoi(port.StrVal); err != nil {
		return "", fmt.Errorf("container has no port named %q", port.StrVal)
	}
	return port.StrVal, nil
}

func trimSlash(path string) string {
	if path != "" && path[0] == '/' {
		return path[1:]
	}
	return path
}
