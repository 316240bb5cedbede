# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a client's sidecar sends a request: listener, route table, virtual host, cluster.

Sources (istio/istio release-1.31 pilot/pkg/networking/core): listener.go:832-878 (explicit HTTP ports share
`0.0.0.0_<port>`, other ports of a ClusterIP get a listener of their own), httproute.go:206-216, 536-559 (a sniffed
port's only virtual host takes every Host), httproute.go:815-872 (catch-all by outbound policy). Measured: docs/truth-
table.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    hostnames,
    objects,
    protocol,
    sidecar_scope,
    virtual_service,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.interception import skips_outbound
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    AMBIENT,
    BLOCKED,
    DYNAMIC_DNS,
    NO_CLUSTER,
    NO_SIDECAR,
    OTHER_SERVICE,
    PASSTHROUGH,
    SERVICE,
    UNKNOWN,
    Route,
    Step,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.protocol import Protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.sidecar_scope import (
    EgressListener,
    Scope,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.virtual_service import Destination

ABSOLUTE_SINCE = (1, 27)
_CATCH_ALL = {
    "ALLOW_ANY": (PASSTHROUGH, "PassthroughCluster", "allow_any", "lets it out in plaintext"),
    "REGISTRY_ONLY": (BLOCKED, "", "block_all", "answers 502 itself"),
    "ALLOW_ANY_DYNAMIC_DNS": (
        DYNAMIC_DNS,
        "AllowAnyDynamicDNSCluster",
        "allow_any_dynamic_dns",
        "sends it where the Host resolves",
    ),
}


def cluster_name(service: Service, port: int, domain: str, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{hostnames.fqdn(service, domain)}"


def predict(config: Mesh, step: Step, host: str, selected: Protocol, services: ServiceIndex) -> Route:
    """The route of a request with this Host.

    services: those of every namespace that the Host or a VirtualService may name.
    """
    if step.client.mesh == "none":
        return Route(NO_SIDECAR, "", "", "", host, f"{step.client} has no sidecar")
    if step.client.mesh == "ambient":
        return Route(AMBIENT, "", "", "", host, f"ztunnel carries {step.client}'s connections by address")
    past = next((found for pod in step.client.pods if (found := skips_outbound(pod, step.port.number))), "")
    if past:
        return Route(NO_SIDECAR, "", "", "", host, f"{step.client} has {past}, so the request leaves past its sidecar")
    if step.client.mesh != "sidecar":
        return Route(UNKNOWN, "", "", "", host, f"only some pods of {step.client} have a sidecar")
    scope = sidecar_scope.of_workload(config, step.client)
    listener = scope.listener(step.port.number)
    if listener is None:
        return _unseen(step, host, scope)
    if not listener.plain:
        return Route(UNKNOWN, "", "", "", host, f"{scope.source} binds the port in a way that is not modelled")
    if listener.port and listener.protocol:
        declared = protocol.of_port(step.port._replace(name=listener.protocol.lower(), app_protocol=None))
        selected = Protocol(declared.kind, f"{scope.source} declares {listener.protocol} on port {listener.port}")
    seen = scope.imports(listener, hostnames.fqdn(step.service, config.domain), step.service.namespace)
    if selected.kind == protocol.HTTP or (selected.kind == protocol.AUTO and not seen):
        return _by_host(config, step, host, scope, listener, services)
    if not seen:
        return _unseen(step, host, scope)
    return _by_address(config, step, host, selected, scope, listener, services)


def _by_address(
    config: Mesh,
    step: Step,
    host: str,
    selected: Protocol,
    scope: Scope,
    listener: EgressListener,
    services: ServiceIndex,
) -> Route:
    """TCP and sniffed ports: the destination address has chosen the Service, whatever the Host."""
    address = "<pod>" if step.service.headless else next(iter(step.service.cluster_ips), "")
    fqdn, port = hostnames.fqdn(step.service, config.domain), step.port.number
    name = "default" if selected.kind == protocol.AUTO else ""
    why = f"port {port} is {selected.kind} ({selected.why}), so the address decides and the Host is ignored"
    found = None
    for obj in virtual_service.applicable(config, step.client, scope, listener):
        if any(hostnames.matches(fqdn, own) for own in virtual_service.hosts(obj, config.domain)):
            decide = virtual_service.http_destination if name else virtual_service.tcp_destination
            found = found or decide(obj, step.client, port, config.domain)
    route = Route(SERVICE, f"{address}_{port}", cluster_name(step.service, port, config.domain), name, host, why)
    return _follow(config, step, route, found, services) if found else route


def _by_host(
    config: Mesh, step: Step, host: str, scope: Scope, listener: EgressListener, services: ServiceIndex
) -> Route:
    """Explicit HTTP ports: one route table per port, searched by Host."""
    port, bare = step.port.number, hostnames.without_port(host)
    on_port = services.on_port(port)
    if listener is not sidecar_scope.EVERYTHING:
        on_port = tuple(
            entry for entry in on_port if scope.imports(listener, hostnames.fqdn(entry, config.domain), entry.namespace)
        )
    if not any(_kind(entry, port) == protocol.HTTP for entry in on_port):
        return _unseen(step, host, scope)  # no Service asks for the shared listener, so there is none
    shared = f"0.0.0.0_{port}"
    named = next((entry for entry in on_port if _named_by(bare, entry, port, step, config.domain)), None)
    for obj in virtual_service.applicable(config, step.client, scope, listener):
        own = virtual_service.hosts(obj, config.domain)
        covers = bare in own or (
            named and any(hostnames.matches(hostnames.fqdn(named, config.domain), entry) for entry in own)
        )
        if covers and (port == 80 or _counts(obj, config.domain, on_port, port)):
            found = virtual_service.http_destination(obj, step.client, port, config.domain)
            if found:
                why = f"{found.source} routes Host {bare!r} on port {port}"
                return _follow(config, step, Route(SERVICE, shared, "", "", host, why), found, services)
    if named is not None:
        kind = SERVICE if named == step.service else OTHER_SERVICE
        why = f"Host {bare!r} is a name of Service {named.namespace}/{named.name}, which has port {port}"
        return Route(kind, shared, cluster_name(named, port, config.domain), "default", host, why)
    entry = _service_entry(config, step, bare, port)
    if entry:
        return Route(UNKNOWN, shared, "", "", host, f"{entry} defines Host {bare!r} on port {port}")
    why = f"route table {port} has no virtual host for Host {bare!r}: only Services that have port {port} are in it"
    return _catch_all(scope, shared, host, why)


def _follow(config: Mesh, step: Step, route: Route, found: Destination, services: ServiceIndex) -> Route:
    """A route that a VirtualService has decided."""
    if found.problem:
        return route._replace(
            kind=UNKNOWN, cluster="", why=f"{found.source} applies, and {found.problem}", source=found.source
        )
    port = found.port or step.port.number
    route = route._replace(
        cluster=f"outbound|{port}|{found.subset}|{found.host}",
        host_after=found.host_after or route.host_after,
        subset=found.subset,
        source=found.source,
    )
    meant = hostnames.service_name(found.host, step.client.namespace, config.domain)
    if meant is None or meant[0] not in services.namespaces:
        why = f"{found.source} routes to {found.host}:{port}, which is no Service of a namespace on this path"
        return route._replace(kind=UNKNOWN, why=why)
    target = services.named(*meant)
    if target is None or target.port(port) is None:
        return route._replace(
            kind=NO_CLUSTER, why=f"{found.source} routes to {found.host}:{port}, which is no Service port"
        )
    if target != step.service or port != step.port.number:
        return route._replace(kind=OTHER_SERVICE, why=f"{found.source} routes to {found.host}:{port}")
    return route


def _unseen(step: Step, host: str, scope: Scope) -> Route:
    """The client's Sidecar resource does not list the Service: the connection meets the catch-all listener."""
    why = f"{scope.source} does not list {step.service.namespace}/{step.service.name} for port {step.port.number}"
    route = _catch_all(scope, "virtualOutbound", host, why)
    return route._replace(name="", cluster="BlackHoleCluster") if route.kind == BLOCKED else route._replace(name="")


def _catch_all(scope: Scope, listener: str, host: str, why: str) -> Route:
    kind, cluster, name, then = _CATCH_ALL.get(scope.policy, (UNKNOWN, "", "", "does what is not modelled"))
    return Route(
        kind, listener, cluster, name, host, f"{why}; outbound policy {scope.policy} {then}", source=scope.source
    )


def _kind(service: Service, port: int) -> str:
    entry = service.port(port)
    return protocol.of_port(entry).kind if entry else ""


def _routable(service: Service, port: int) -> bool:
    """Whether a Service has a virtual host in the route table of a port."""
    return _kind(service, port) in (protocol.HTTP, protocol.AUTO)


def _counts(obj: Object, domain: str, on_port: Iterable[Service], port: int) -> bool:
    names = (hostnames.fqdn(entry, domain) for entry in on_port if _routable(entry, port))
    return virtual_service.counts_on_port(obj, domain, names)


def _named_by(bare: str, service: Service, port: int, step: Step, domain: str) -> bool:
    """Whether a Host is one of a Service's names in the client's sidecar."""
    if service.name not in bare and bare not in service.cluster_ips:
        return False
    version = step.client.pods[0].sidecar_version
    names = hostnames.domains(service, step.client.namespace, domain, version is None or version >= ABSOLUTE_SINCE)
    return _routable(service, port) and any(hostnames.matches(bare, entry) for entry in names)


def _service_entry(config: Mesh, step: Step, bare: str, port: int) -> str:
    for obj in config.of("ServiceEntry"):
        body = objects.spec(obj)
        ports = {objects.mapping(entry).get("number") for entry in objects.sequence(body.get("ports"))}
        named = any(
            hostnames.matches(bare, objects.text(entry).lower()) for entry in objects.sequence(body.get("hosts"))
        )
        if named and port in ports and exported_to(obj, step.client.namespace):
            return objects.reference("ServiceEntry", obj)
    return ""
