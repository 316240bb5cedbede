// SPDX-License-Identifier: GPL-3.0-or-later

package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"meshops.example/lab/agent/internal/container"
)

// podFiles are the files that a kubelet manages in every container.
var podFiles = []string{"hosts", "hostname", "resolv.conf"}

func (w *worker) podFileMounts() []container.Mount {
	mounts := make([]container.Mount, 0, len(podFiles))
	for _, name := range podFiles {
		mounts = append(mounts, container.Mount{Source: filepath.Join(w.dir, "etc", name), Target: "/etc/" + name})
	}
	return mounts
}

// withAddresses returns the pod with the addresses that its status will have.
func (w *worker) withAddresses() *corev1.Pod {
	pod := w.pod.DeepCopy()
	ip := w.sandbox.IP.String()
	pod.Status.HostIP, pod.Status.HostIPs = w.config.NodeIP, []corev1.HostIP{{IP: w.config.NodeIP}}
	pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	return pod
}

func writePodFiles(config *Config, pod *corev1.Pod, dir, ip string) error {
	resolvConf, err := resolvConf(config, pod)
	if err != nil {
		return err
	}
	contents := map[string]string{
		"hosts":       hosts(config, pod, ip),
		"hostname":    hostname(pod) + "\n",
		"resolv.conf": resolvConf,
	}
	for name, content := range contents {
		path := filepath.Join(dir, "etc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make pod directory: %w", err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write pod file: %w", err)
		}
	}
	return nil
}

func hosts(config *Config, pod *corev1.Pod, ip string) string {
	var text strings.Builder
	text.WriteString("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	name := hostname(pod)
	if pod.Spec.Subdomain != "" {
		fmt.Fprintf(&text, "%s\t%s.%s.%s.svc.%s\t%s\n", ip, name, pod.Spec.Subdomain, pod.Namespace, config.ClusterDomain, name)
	} else {
		fmt.Fprintf(&text, "%s\t%s\n", ip, name)
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&text, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return text.String()
}

func resolvConf(config *Config, pod *corev1.Pod) (string, error) {
	var servers, searches, options []string
	switch pod.Spec.DNSPolicy {
	case corev1.DNSDefault:
		content, err := os.ReadFile("/etc/resolv.conf")
		if err != nil {
			return "", fmt.Errorf("read the node's DNS configuration: %w", err)
		}
		return string(content), nil
	case corev1.DNSNone:
	default:
		servers = []string{config.ClusterDNS}
		searches = []string{pod.Namespace + ".svc." + config.ClusterDomain, "svc." + config.ClusterDomain, config.ClusterDomain}
		options = []string{"ndots:5"}
	}
	if extra := pod.Spec.DNSConfig; extra != nil {
		servers = append(servers, extra.Nameservers...)
		searches = append(searches, extra.Searches...)
		for _, option := range extra.Options {
			text := option.Name
			if option.Value != nil {
				text += ":" + *option.Value
			}
			options = append(options, text)
		}
	}
	var text strings.Builder
	for _, server := range servers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	if len(searches) > 0 {
		fmt.Fprintf(&text, "search %s\n", strings.Join(searches, " "))
	}
	if len(options) > 0 {
		fmt.Fprintf(&text, "options %s\n", strings.Join(options, " "))
	}
	return text.String(), nil
}

// hostname is the pod's name, cut to what the kernel and DNS allow.
func hostname(pod *corev1.Pod) string {
	name := pod.Spec.Hostname
	if name == "" {
		name = pod.Name
	}
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	return name
}
