// SPDX-License-Identifier: GPL-3.0-or-later

package env

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serviceVariables returns the variables of the master Service, and those of
// the pod's namespace unless the pod turned its service links off.
func (b *Builder) serviceVariables(pod *corev1.Pod) (map[string]string, error) {
	result := map[string]string{}
	masters, err := b.Services(metav1.NamespaceDefault)
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	for _, service := range masters {
		if service.Name == "kubernetes" {
			addService(result, service)
		}
	}
	if links := pod.Spec.EnableServiceLinks; links != nil && !*links {
		return result, nil
	}
	services, err := b.Services(pod.Namespace)
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	for _, service := range services {
		addService(result, service)
	}
	return result, nil
}

func addService(into map[string]string, service *corev1.Service) {
	ip := service.Spec.ClusterIP
	if ip == "" || ip == corev1.ClusterIPNone || len(service.Spec.Ports) == 0 {
		return
	}
	prefix := variableName(service.Name)
	first := service.Spec.Ports[0]
	into[prefix+"_SERVICE_HOST"] = ip
	into[prefix+"_SERVICE_PORT"] = strconv.Itoa(int(first.Port))
	into[prefix+"_PORT"] = portURL(ip, first)
	for _, port := range service.Spec.Ports {
		number := strconv.Itoa(int(port.Port))
		if port.Name != "" {
			into[prefix+"_SERVICE_PORT_"+variableName(port.Name)] = number
		}
		link := fmt.Sprintf("%s_PORT_%s_%s", prefix, number, port.Protocol)
		into[link] = portURL(ip, port)
		into[link+"_PROTO"] = strings.ToLower(string(port.Protocol))
		into[link+"_PORT"] = number
		into[link+"_ADDR"] = ip
	}
}

func portURL(ip string, port corev1.ServicePort) string {
	return strings.ToLower(string(port.Protocol)) + "://" + net.JoinHostPort(ip, strconv.Itoa(int(port.Port)))
}

func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
