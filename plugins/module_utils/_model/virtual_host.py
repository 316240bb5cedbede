# SPDX-License-Identifier: GPL-3.0-or-later
"""Which virtual host of a port's shared route table takes a Host.

Sources (istio/istio release-1.31): pilot/pkg/networking/core/httproute.go:310-520 (VirtualServices first, then the
Services without one; a domain belongs to whom it came to first), pilot/pkg/networking/core/route/route.go:97-150,
158-323 (only HTTP and sniffed ports; hosts that are no Service with the port become literal domains);
pilot/pkg/model/sidecar.go:971-1004 (of several wildcards the most specific has a Service). Domain search: Envoy's, see
envoy_route.py. Measured: `make differential`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    hostnames,
    objects,
    protocol,
    virtual_service,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.outbound_listener import View
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.sidecar_scope import EgressListener
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.virtual_service import Destination

ABSOLUTE_SINCE = (1, 27)
# A VirtualService counts here even if none of its hosts is a Service with the port: httproute.go:392.
ANY_HOST_PORT = 80


class Found(NamedTuple):
    """Who takes the Host: a VirtualService's rule, or a Service by its default route."""

    rule: Destination | None
    service: Service | None


def find(config: Mesh, client: Workload, view: View, egress: EgressListener, host: str) -> Found | None:
    """The virtual host that Envoy chooses; None: the catch-all one. host: as it stands in the request."""
    bare = hostnames.without_port(host)
    best: tuple[tuple[bool, int], Found] | None = None
    for domain, found in _domains(config, client, view, egress, bare):
        rank = (not domain.startswith("*"), len(domain))
        if best is None or rank > best[0]:
            best = (rank, found)
    return best[1] if best else None


def of_service(config: Mesh, client: Workload, view: View, egress: EgressListener, service: Service) -> Found:
    """The virtual host of a sniffed Service's own table, where every Host leads."""
    full = hostnames.fqdn(service, config.domain)
    registry = _Registry(config, client, view, egress)
    for obj in registry.rules:
        if any(hostnames.matches(full, host) for host in virtual_service.hosts(obj, config.domain)):
            owned, literal = registry.split(obj)
            rule = virtual_service.http_destination(obj, client, view.port, config.domain)
            if rule and owned and (full in literal or full in owned):
                return Found(rule, None)
    return Found(None, service)


def _domains(
    config: Mesh, client: Workload, view: View, egress: EgressListener, bare: str
) -> Iterator[tuple[str, Found]]:
    """The domains that a Host falls under, each with its virtual host, in the order in which Istio gives them away."""
    registry = _Registry(config, client, view, egress)
    # An alias has a virtual host of its own only where a VirtualService names it.
    mine = {full: found for full, service in registry.routable() if (found := registry.domains(service, bare))}
    taken = set()
    for obj in registry.rules:
        hosts = virtual_service.hosts(obj, config.domain)
        if not any(hostnames.matches(name, host) for host in hosts for name in (bare, *mine)):
            continue
        owned, literal = registry.split(obj)
        rule = virtual_service.http_destination(obj, client, view.port, config.domain)
        if rule is None or (not owned and view.port != ANY_HOST_PORT):
            continue
        taken |= owned
        for domain in (*literal, *(entry for full in mine if full in owned for entry in mine[full])):
            if hostnames.matches(bare, domain):
                yield domain, Found(rule, None)
    for full, domains in mine.items():
        if full not in taken and full in registry.services:
            yield from ((domain, Found(None, registry.services[full])) for domain in domains)


class _Registry:
    """The Services with a port and the VirtualServices that a client's sidecar knows.

    services: by full name; aliases: ExternalName Services with the port, likewise.
    """

    def __init__(self, config: Mesh, client: Workload, view: View, egress: EgressListener) -> None:
        self.config, self.client, self.view, self.egress = config, client, view, egress
        self.services = {hostnames.fqdn(service, config.domain): service for service in view.seen(egress)}
        on_port = view.services.on_port(view.port)
        aliases = [service for service in on_port if service.external_name and view.sees(egress, service)]
        self.aliases = {hostnames.fqdn(service, config.domain): service for service in aliases}
        self.rules = virtual_service.applicable(config, client, view.scope, egress)

    def routable(self) -> Iterator[tuple[str, Service]]:
        """The Services that can have a virtual host in the port's route table."""
        for full, service in (*self.services.items(), *self.aliases.items()):
            port = service.port(self.view.port)
            if port is not None and protocol.of_port(port).kind in (protocol.HTTP, protocol.AUTO):
                yield full, service

    def split(self, obj: Object) -> tuple[set[str], list[str]]:
        """The full names of the Services that a VirtualService routes on the port, and its hosts that are none."""
        owned, literal = set(), []
        for host in virtual_service.hosts(obj, self.config.domain):
            under = [host] if host in self.services or host in self.aliases else []
            if host.startswith("*"):
                under = [name for name in (*self.services, *self.aliases) if hostnames.matches(name, host)]
            if not under:
                literal.append(host)
            exact = not host.startswith("*")
            owned |= {name for name in under if exact or self._most_specific(name) is obj}
        return owned & {full for full, _service in self.routable()}, literal

    def _most_specific(self, full: str) -> Object | None:
        return virtual_service.most_specific(self.rules, full, self.config.domain)

    def domains(self, service: Service, bare: str) -> list[str]:
        """The domains of a Service's virtual host that a Host falls under, those of its aliases included."""
        version = self.client.pods[0].sidecar_version if self.client.pods else None
        found: list[str] = []
        full = hostnames.fqdn(service, self.config.domain)
        for entry in (service, *self.view.aliases(self.egress, full, service.namespace)):
            if entry.name in bare or bare in service.cluster_ips:
                alike = entry._replace(cluster_ips=service.cluster_ips)
                absolute = version is None or version >= ABSOLUTE_SINCE
                found += hostnames.domains(alike, self.client.namespace, self.config.domain, absolute)
        return [domain for domain in found if hostnames.matches(bare, domain)]


def service_entry(config: Mesh, client: Workload, port: int, host: str = "") -> str:
    """A ServiceEntry that gives a Host, or any, on this port, as `ServiceEntry/namespace/name`; "" if there is none."""
    bare = hostnames.without_port(host)
    for obj in config.of("ServiceEntry"):
        body = objects.spec(obj)
        ports = {objects.mapping(entry).get("number") for entry in objects.sequence(body.get("ports"))}
        names = (objects.text(entry).lower() for entry in objects.sequence(body.get("hosts")))
        visible = exported_to(obj, client.namespace)
        if port in ports and visible and (not host or any(hostnames.matches(bare, name) for name in names)):
            return objects.reference("ServiceEntry", obj)
    return ""
