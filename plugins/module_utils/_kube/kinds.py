# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each kind lives in the API: one table in the place of discovery.

Versions are tried in their order. Istio serves v1 since 1.22 and keeps v1beta1 for older clients
(https://istio.io/latest/blog/2024/v1-apis/); a cluster with older CustomResourceDefinitions has v1beta1 alone.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Resource(NamedTuple):
    """group: "" is the core group. versions: preferred first. plural: as in the URL."""

    group: str
    versions: tuple[str, ...]
    plural: str
    namespaced: bool = True


_ISTIO = ("v1", "v1beta1")

RESOURCES: dict[str, Resource] = {
    "AuthorizationPolicy": Resource("security.istio.io", _ISTIO, "authorizationpolicies"),
    "ConfigMap": Resource("", ("v1",), "configmaps"),
    "DaemonSet": Resource("apps", ("v1",), "daemonsets"),
    "Deployment": Resource("apps", ("v1",), "deployments"),
    "DestinationRule": Resource("networking.istio.io", _ISTIO, "destinationrules"),
    "EndpointSlice": Resource("discovery.k8s.io", ("v1",), "endpointslices"),
    "EnvoyFilter": Resource("networking.istio.io", ("v1alpha3",), "envoyfilters"),
    "Grafana": Resource("grafana.integreatly.org", ("v1beta1",), "grafanas"),
    "GrafanaDatasource": Resource("grafana.integreatly.org", ("v1beta1",), "grafanadatasources"),
    "Lease": Resource("coordination.k8s.io", ("v1",), "leases"),
    "Namespace": Resource("", ("v1",), "namespaces", namespaced=False),
    "PeerAuthentication": Resource("security.istio.io", _ISTIO, "peerauthentications"),
    "Pod": Resource("", ("v1",), "pods"),
    "Prometheus": Resource("monitoring.coreos.com", ("v1",), "prometheuses"),
    "ReplicaSet": Resource("apps", ("v1",), "replicasets"),
    "RequestAuthentication": Resource("security.istio.io", _ISTIO, "requestauthentications"),
    "Secret": Resource("", ("v1",), "secrets"),
    "Service": Resource("", ("v1",), "services"),
    "ServiceEntry": Resource("networking.istio.io", _ISTIO, "serviceentries"),
    "Sidecar": Resource("networking.istio.io", _ISTIO, "sidecars"),
    "StatefulSet": Resource("apps", ("v1",), "statefulsets"),
    "Telemetry": Resource("telemetry.istio.io", ("v1", "v1alpha1"), "telemetries"),
    "VirtualService": Resource("networking.istio.io", _ISTIO, "virtualservices"),
}


def api_version(resource: Resource, version: str) -> str:
    """The `apiVersion` of a manifest."""
    return f"{resource.group}/{version}" if resource.group else version


def path(resource: Resource, version: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path, every part escaped."""
    base = f"/apis/{resource.group}/{version}" if resource.group else f"/api/{version}"
    parts = [base]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def of_kind(api_version: str, kind: str) -> Resource | None:
    """The entry of our table for a kind of this group; None where it is not in it."""
    resource = RESOURCES.get(kind)
    return resource if resource and resource.group == api_version.rpartition("/")[0] else None
