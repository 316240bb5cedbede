# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a client's sidecar sends a request: listener, route table, virtual host, cluster.

Sources (istio/istio release-1.31 pilot/pkg/networking/core): listener.go:832-878 (explicit HTTP ports share
`0.0.0.0_<port>`, other ports of a ClusterIP get a listener of their own), httproute.go:206-216, 536-559 (a sniffed
port's only virtual host takes every Host), httproute.go:815-872 (catch-all by outbound policy). Measured:
docs/truth-table.md and `make differential`.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    destination_rule,
    hostnames,
    outbound_listener,
    protocol,
    sidecar_scope,
    virtual_host,
    virtual_service,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.interception import skips_outbound
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, service_exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Service
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.outbound_listener import (
    CATCH_ALL,
    Taken,
    View,
    route_table,
)
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
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import HTTP_1_0, HTTP_1_1
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.sidecar_scope import (
    EgressListener,
    Scope,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.virtual_service import Destination

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


def predict(config: Mesh, step: Step, host: str, services: ServiceIndex) -> Route:
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
    bound = [entry for entry in scope.listeners if entry.port in (0, step.port.number) and not entry.plain]
    if bound:
        return Route(UNKNOWN, "", "", "", host, f"{scope.source} binds the port in a way that is not modelled")
    view = View(scope, step.client.namespace, config.domain, services, step.port.number)
    routes = [_met(config, step, host, view, pod) for pod in step.pods_dialled or (None,)]
    if any(other != routes[0] for other in routes):
        return Route(UNKNOWN, "", "", "", host, "another headless Service has listeners for some of the pods")
    return routes[0]


def _met(config: Mesh, step: Step, host: str, view: View, pod: Pod | None) -> Route:
    """The route of a request to a Service's address, or to a pod's own."""
    taken = outbound_listener.taken(view, step.service, pod)
    if taken is None:
        entry = virtual_host.service_entry(config, step.client, view.port)
        if entry:
            return Route(UNKNOWN, "", "", "", host, f"{entry} may have a listener for port {view.port}")
        return _unseen(step, host, view)
    if taken.problem:
        return Route(UNKNOWN, taken.listener, "", "", host, taken.problem)
    if taken.owner is not None and taken.declared.kind == protocol.TCP:
        return _tcp(config, step, host, view, taken, taken.owner)
    version = step.client_relay.http_version if step.client_relay else HTTP_1_1
    if version == HTTP_1_0:
        return _default_chain(config, step, host, view, taken)
    if not version and taken.owner is None:
        why = f"which version of HTTP {step.client} speaks cannot be told, and HTTP/1.0 takes another way"
        return Route(UNKNOWN, taken.listener, "", "", host, why)
    egress = route_table(view)
    if egress is None or (taken.owner is not None and not view.sees(egress, taken.owner)):
        why = f"{view.scope.source} gives listener {taken.listener} a route table without virtual hosts"
        return Route(UNKNOWN, taken.listener, "", "", host, why)
    if taken.owner is not None:
        found = _sniffed(config, step, host, view, taken, taken.owner, egress)
        other = _tcp(config, step, host, view, taken, taken.owner)
        if not version and other.cluster != found.cluster:
            why = f"which version of HTTP {step.client} speaks cannot be told, and {found.source} routes it by that"
            return found._replace(kind=UNKNOWN, cluster="", why=why)
        return found
    entry = virtual_host.service_entry(config, step.client, view.port, host)
    if entry:
        return Route(UNKNOWN, taken.listener, "", "", host, f"{entry} defines Host {host!r} on port {view.port}")
    return _by_host(config, step, host, view, taken, egress)


def _default_chain(config: Mesh, step: Step, host: str, view: View, taken: Taken) -> Route:
    """HTTP/1.0, which the HTTP chain of a sniffing listener does not take: listener.go:85-94, 680-686, 934-944."""
    if taken.owner is not None:
        return _tcp(config, step, host, view, taken, taken.owner)
    why = f"{step.client} speaks HTTP/1.0, which listener {taken.listener} takes for TCP"
    route = _catch_all(view.scope, taken.listener, host, why)._replace(name="", default_chain=True)
    return route._replace(cluster="BlackHoleCluster") if route.kind == BLOCKED else route


def _tcp(config: Mesh, step: Step, host: str, view: View, taken: Taken, owner: Service) -> Route:
    """A TCP port: the address has chosen the Service, and nothing reads the request."""
    rule = None
    if not protocol.is_tls(taken.egress.protocol, owner.port(view.port)):
        rule = virtual_service.tcp_destination_of(config, step.client, view.scope, taken.egress, owner, view.port)
        named = _named(config, step, rule.host, view.services)[0] if rule else None
        if rule and named and service_exported_to(named, step.client.namespace):
            # The only port of what is named, be it an alias: route.go:GetDestinationCluster.
            only = named.ports[0].number if len(named.ports) == 1 else None
            rule = rule._replace(port=only if rule.port is None else rule.port)
    return _to_owner(config, step, _by_address(host, view, taken, ""), rule, owner, view.services, any_port=True)


def _sniffed(
    config: Mesh, step: Step, host: str, view: View, taken: Taken, owner: Service, egress: EgressListener
) -> Route:
    """A port without a protocol: the address has chosen the route table, and its only virtual host takes any Host."""
    found = virtual_host.of_service(config, step.client, view, egress, owner)
    return _to_owner(config, step, _by_address(host, view, taken, "default"), found.rule, owner, view.services)


def _by_address(host: str, view: View, taken: Taken, name: str) -> Route:
    declared = taken.declared
    why = f"port {view.port} is {declared.kind} ({declared.why}), so the address decides and the Host is ignored"
    return Route(SERVICE, taken.listener, "", name, host, why)


def _by_host(config: Mesh, step: Step, host: str, view: View, taken: Taken, egress: EgressListener) -> Route:
    """Explicit HTTP ports: one route table per port, searched by Host."""
    port, bare = view.port, hostnames.without_port(host)
    found = virtual_host.find(config, step.client, view, egress, host)
    if found is None:
        why = f"route table {port} has no virtual host for Host {bare!r}: only Services that have port {port} are in it"
        return _catch_all(view.scope, taken.listener, host, why)
    if found.service is None:
        source = found.rule.source if found.rule else ""
        why = f"{source} routes Host {bare!r} on port {port}"
        return _to_owner(
            config, step, Route(SERVICE, taken.listener, "", "", host, why), found.rule, None, view.services
        )
    why = f"Host {bare!r} is a name of Service {found.service.namespace}/{found.service.name}, which has port {port}"
    route = Route(SERVICE, taken.listener, "", "default", host, why)
    return _to_owner(config, step, route, None, found.service, view.services)


def _to_owner(
    config: Mesh,
    step: Step,
    route: Route,
    rule: Destination | None,
    owner: Service | None,
    services: ServiceIndex,
    any_port: bool = False,
) -> Route:
    """Where a rule leads, or without one the owner's own cluster. any_port: as for _target."""
    if rule is not None:
        return _follow(config, step, route._replace(name=""), rule, services, any_port)
    if owner is None:
        return route._replace(kind=UNKNOWN)
    kind = SERVICE if owner == step.service else OTHER_SERVICE
    return route._replace(kind=kind, cluster=cluster_name(owner, step.port.number, config.domain))


def _follow(
    config: Mesh, step: Step, route: Route, found: Destination, services: ServiceIndex, any_port: bool
) -> Route:
    """A route that a VirtualService has decided."""
    if found.problem:
        return route._replace(
            kind=UNKNOWN, cluster="", why=f"{found.source} applies, and {found.problem}", source=found.source
        )
    port = step.port.number if found.port is None else found.port
    name, target, read = _target(config, step, found.host, services, any_port)
    route = route._replace(
        cluster=f"outbound|{port}|{found.subset}|{name}",
        host_after=found.host_after or route.host_after,
        subset=found.subset,
        source=found.source,
    )
    if not read:
        why = f"{found.source} routes to {name}:{port}, which is no Service of a namespace on this path"
        return route._replace(kind=UNKNOWN, why=why)
    entry = target.port(port) if target else None
    # UDP ports, and those that are named so, have no cluster: cluster.go.
    if target is None or entry is None or protocol.of_port(entry).kind == protocol.UDP:
        return route._replace(kind=NO_CLUSTER, why=f"{found.source} routes to {name}:{port}, which is no Service port")
    # A sidecar has no cluster for a Service that it may not see: push_context.go IsServiceVisible.
    if not service_exported_to(target, step.client.namespace):
        why = f"{found.source} routes to {name}, which its exportTo hides from namespace {step.client.namespace}"
        return route._replace(kind=NO_CLUSTER, why=why)
    rules = destination_rule.lookup(config, step.client, target) if found.subset else ()
    if not destination_rule.defines_subset(rules, found.subset):
        why = f"{found.source} routes to subset {found.subset} of {name}, which no DestinationRule that applies defines"
        return route._replace(kind=NO_CLUSTER, why=why)
    if target != step.service or port != step.port.number:
        return route._replace(kind=OTHER_SERVICE, why=f"{found.source} routes to {name}:{port}")
    return route._replace(kind=SERVICE)


def _target(
    config: Mesh, step: Step, host: str, services: ServiceIndex, any_port: bool
) -> tuple[str, Service | None, bool]:
    """The name that a destination's cluster bears, the Service of that name, and whether its namespace has been read.

    One alias is followed, and an alias of an alias has no cluster: route.go:GetDestinationCluster, cluster.go:483.
    any_port: False for HTTP routes, where a listener knows only the aliases that have its port: httproute.go:341-364.
    """
    found, read = _named(config, step, host, services)
    if found is None or not found.external_name:
        return host, found, read
    unknown_here = not any_port and found.port(step.port.number) is None
    if unknown_here or not service_exported_to(found, step.client.namespace):
        return host, None, True
    behind, read = _named(config, step, found.external_name, services)
    return found.external_name, None if behind is None or behind.external_name else behind, read


def _named(config: Mesh, step: Step, host: str, services: ServiceIndex) -> tuple[Service | None, bool]:
    """The Service with a full name, and whether its namespace has been read."""
    meant = hostnames.service_name(host, step.client.namespace, config.domain)
    if not host.endswith(f".svc.{config.domain}") or meant is None:
        # No cluster bears a short name. Another name may be a ServiceEntry's.
        return None, virtual_host.service_entry(config, step.client, step.port.number, host) == ""
    return services.named(*meant), meant[0] in services.namespaces


def _unseen(step: Step, host: str, view: View) -> Route:
    """Nothing in the client's sidecar stands for the address: the connection meets the catch-all listener."""
    scope, service = view.scope, step.service
    if step.pod is not None:
        why = f"{step.pod.ip} is the address of pod {step.pod.name}, for which no listener stands"
        scope = scope._replace(source="")
        route = _catch_all(scope, CATCH_ALL, host, why)
        return route._replace(name="", cluster="BlackHoleCluster") if route.kind == BLOCKED else route._replace(name="")
    why = (
        f"{scope.source or 'the mesh'} shows {step.client.namespace} no {service.namespace}/{service.name}:{view.port}"
    )
    route = _catch_all(scope, CATCH_ALL, host, why)
    return route._replace(name="", cluster="BlackHoleCluster") if route.kind == BLOCKED else route._replace(name="")


def _catch_all(scope: Scope, listener: str, host: str, why: str) -> Route:
    kind, cluster, name, then = _CATCH_ALL.get(scope.policy, (UNKNOWN, "", "", "does what is not modelled"))
    return Route(
        kind, listener, cluster, name, host, f"{why}; outbound policy {scope.policy} {then}", source=scope.source
    )
