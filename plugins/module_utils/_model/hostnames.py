# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: which Service a URL means to DNS, and which Hosts Envoy accepts for a Service.

Sources (istio/istio release-1.31): pilot/pkg/networking/core/httproute.go:567-723 (virtual host domains),
httproute.go:223 (IgnorePortInHostMatching), pkg/config/host/name.go (wildcards), pilot/pkg/model/config.go:209-231
(short names in Istio's own resources).
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service


class Endpoint(NamedTuple):
    """Where a URL dials. port: given or the scheme's own. host: lower case, without port."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The Host that an HTTP client derives from this URL: the port is left out where it is the scheme's own."""
        return self.host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{self.host}:{self.port}"


_DEFAULT_PORTS = {"http": 80, "https": 443}


def endpoint(url: str) -> Endpoint | None:
    """The endpoint of an http or https URL; None for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return Endpoint(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme])


def query_path(url: str) -> str:
    """The path with which a Prometheus client asks below a base URL, e.g. `/prometheus/api/v1/query`."""
    try:
        return f"{urlsplit(url).path.rstrip('/')}/api/v1/query"
    except ValueError:
        return "/api/v1/query"


def without_port(authority: str) -> str:
    """A Host header reduced to what Istio's route tables compare: lower case, no port (IgnorePortInHostMatching)."""
    lowered = authority.strip().lower()
    if lowered.startswith("["):
        return lowered.partition("]")[0].lstrip("[")
    return lowered.rpartition(":")[0] if lowered.count(":") == 1 else lowered


def fqdn(service: Service, domain: str) -> str:
    return f"{service.name}.{service.namespace}.svc.{domain}"


def service_name(host: str, client_namespace: str, domain: str) -> tuple[str, str] | None:
    """(namespace, name) of the Service that a name means to cluster DNS, by the search list of a pod.

    None for other names.
    """
    bare = host.rstrip(".")
    if not host.endswith(".") and "." not in bare:
        return client_namespace, bare
    for suffix in (f".svc.{domain}", ".svc", ""):
        if suffix and not bare.endswith(suffix):
            continue
        parts = bare[: len(bare) - len(suffix)].split(".") if suffix else bare.split(".")
        # A trailing dot ends the search list: only the full name is left.
        if host.endswith(".") and suffix != f".svc.{domain}":
            return None
        return (parts[1], parts[0]) if len(parts) == 2 and all(parts) else None
    return None


def pod_name(host: str, domain: str) -> tuple[str, str] | None:
    """(namespace, name) of the headless Service below which a pod has this name, `pod.service.namespace.svc`.

    None for other names. https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    """
    _pod, _dot, rest = host.rstrip(".").partition(".")
    suffix = next((entry for entry in (f".svc.{domain}", ".svc") if rest.endswith(entry)), "")
    parts = rest.removesuffix(suffix).split(".")
    return (parts[1], parts[0]) if suffix and len(parts) == 2 and all(parts) else None


def domains(service: Service, client_namespace: str, domain: str, absolute: bool = True) -> tuple[str, ...]:
    """The Hosts (lower case, without port) of a Service's virtual host in the sidecar of a pod in client_namespace.

    absolute: the full name with a trailing dot is one of them, as it is since Istio 1.27
    (PILOT_ENABLE_ABSOLUTE_FQDN_VHOST_DOMAIN, on by default; releasenotes fix-enable-absolute-fqdn-domain-vhost).
    """
    full = fqdn(service, domain)
    short = f"{service.name}.{service.namespace}"
    names = [full, *([f"{full}."] if absolute else []), short, f"{short}.svc"]
    if service.namespace == client_namespace:
        names.append(service.name)
    if service.headless:
        names += [f"*.{entry}" for entry in names]
    else:
        names += service.cluster_ips
    return tuple(names)


def matches(host: str, pattern: str) -> bool:
    """Whether a host equals a pattern or falls under a wildcard (`*`, `*.suffix`)."""
    if pattern.startswith("*"):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def overlaps(one: str, other: str) -> bool:
    """Whether a host or wildcard has a name in common with another: pkg/config/host/name.go (Matches)."""
    return matches(one, other) or matches(other, one) or one == other


def resolved(host: str, namespace: str, domain: str) -> str:
    """A host in an Istio resource as Istio expands it.

    Only a name without a dot is taken as a Service of `namespace`.
    """
    lowered = host.lower()
    if "." in lowered or lowered.startswith("*"):
        return lowered
    return f"{lowered}.{namespace}.svc.{domain}"
