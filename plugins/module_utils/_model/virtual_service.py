# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VirtualService, if any, routes a request that leaves a sidecar, and whereto.

Sources (istio/istio release-1.31): pilot/pkg/networking/core/httproute.go:255-307, 392-396 (a VirtualService counts on
a port only if one of its hosts is a Service with that port), pilot/pkg/networking/core/route/route.go:171-323 (its
other hosts become virtual hosts with exactly that domain), route.go:447-463 (sourceLabels, sourceNamespace, port and
gateways are decided when the route table is built; a rule that they exclude does not exist).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.sidecar_scope import (
    EgressListener,
    Scope,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

MESH_GATEWAY = "mesh"
# Conditions of a match that Envoy decides per request.
_PER_REQUEST = ("uri", "scheme", "method", "authority", "headers", "queryParams", "withoutHeaders")


class Destination(NamedTuple):
    """Where a rule sends a request. port: None = that on which it came, 0 = `port: {}`. host_after: the Host after
    rewriting, "" = kept.

    problem: why the rule's outcome cannot be told from configuration; "" where it can.
    """

    host: str
    port: int | None
    subset: str
    host_after: str
    problem: str
    source: str


def applicable(config: Mesh, client: Workload, scope: Scope, listener: EgressListener) -> list[Object]:
    """The VirtualServices for the mesh that a client's sidecar sees, in the order in which they win a host.

    Private ones first, then those exported to the client's namespace by name, then the rest, each oldest first:
    pilot/pkg/model/virtualservice.go:34-124.
    """
    found = []
    for obj in config.of("VirtualService"):
        gateways = objects.sequence(objects.spec(obj).get("gateways")) or [MESH_GATEWAY]
        if MESH_GATEWAY not in gateways or not exported_to(obj, client.namespace):
            continue
        if any(scope.overlaps(listener, host, objects.namespace(obj)) for host in hosts(obj, config.domain)):
            found.append(obj)
    return sorted(found, key=lambda obj: (_publicity(obj, client), objects.created(obj), *_names(obj)))


def _publicity(obj: Object, client: Workload) -> int:
    export = objects.sequence(objects.spec(obj).get("exportTo")) or ["*"]
    if "*" in export:
        return 2
    private = "." in export or (client.namespace in export and objects.namespace(obj) == client.namespace)
    return 0 if private else 1


def _names(obj: Object) -> tuple[str, str]:
    return objects.name(obj), objects.namespace(obj)


def most_specific(rules: Iterable[Object], name: str, domain: str) -> Object | None:
    """The VirtualService that has a Service by its most specific host: the name itself, else the longest wildcard."""
    best, rank = None, (False, 0)
    for obj in rules:
        for host in hosts(obj, domain):
            found = (not host.startswith("*"), len(host))
            if hostnames.matches(name, host) and found > rank:
                best, rank = obj, found
    return best


def hosts(obj: Object, domain: str) -> list[str]:
    """Its hosts, with short names expanded in its own namespace."""
    namespace = objects.namespace(obj)
    return [
        hostnames.resolved(objects.text(host), namespace, domain)
        for host in objects.sequence(objects.spec(obj).get("hosts"))
    ]


def http_destination(obj: Object, client: Workload, port: int, domain: str) -> Destination | None:
    """Where its HTTP rules send a request on this port.

    None where no rule exists for this client, so that Istio ignores it.
    """
    found: list[Destination] = []
    for rule in map(objects.mapping, objects.sequence(objects.spec(obj).get("http"))):
        condition = _condition(rule, client, port)
        if condition is None:
            continue
        found.append(_destination(obj, rule, domain))
        if not condition:
            break
    else:
        if found:
            # Every rule has a condition of its own: a request that meets none gets 404.
            found.append(Destination("", None, "", "", "no rule without a condition on the request", _source(obj)))
    if not found:
        return None
    if len({entry._replace(source="") for entry in found}) > 1:
        return found[0]._replace(problem="its rules choose by uri, method or headers of the request")
    return found[0]


def tcp_destination_of(
    config: Mesh, client: Workload, scope: Scope, listener: EgressListener, service: Service, port: int
) -> Destination | None:
    """Where the TCP rules for a Service's name send its connections; None where none applies."""
    full = hostnames.fqdn(service, config.domain)
    for obj in applicable(config, client, scope, listener):
        if any(hostnames.matches(full, host) for host in hosts(obj, config.domain)):
            found = tcp_destination(obj, client, port, config.domain)
            if found:
                return found
    return None


def tcp_destination(obj: Object, client: Workload, port: int, domain: str) -> Destination | None:
    """Where its TCP rules send a connection on this port; None where none applies."""
    for rule in map(objects.mapping, objects.sequence(objects.spec(obj).get("tcp"))):
        condition = _condition(rule, client, port)
        if condition is not None:
            return _destination(obj, rule, domain)
    return None


def _condition(rule: dict[str, Any], client: Workload, port: int) -> tuple[str, ...] | None:
    """The per-request conditions of the first match that exists for this client and port.

    () where one exists without any; None where no match exists.
    """
    entries = [objects.mapping(entry) for entry in objects.sequence(rule.get("match"))]
    if not entries:
        return ()
    existing = [entry for entry in entries if _exists(entry, client, port)]
    if not existing:
        return None
    conditions = [
        tuple(key for key in _PER_REQUEST if entry.get(key) and not _any_path(entry, key)) for entry in existing
    ]
    return () if () in conditions else conditions[0]


def _exists(entry: dict[str, Any], client: Workload, port: int) -> bool:
    gateways = objects.sequence(entry.get("gateways"))
    return (
        int(entry.get("port", 0) or 0) in (0, port)
        and objects.selects(objects.mapping(entry.get("sourceLabels")), client.labels)
        and objects.text(entry.get("sourceNamespace")) in ("", client.namespace)
        and (not gateways or MESH_GATEWAY in gateways)
    )


def _any_path(entry: dict[str, Any], key: str) -> bool:
    return key == "uri" and objects.mapping(entry.get("uri")).get("prefix") == "/"


def _destination(obj: Object, rule: dict[str, Any], domain: str) -> Destination:
    namespace, source = objects.namespace(obj), _source(obj)
    for key in ("redirect", "directResponse", "delegate"):
        if rule.get(key):
            return Destination("", None, "", "", f"it has a {key}", source)
    targets = [
        objects.mapping(objects.mapping(entry).get("destination")) for entry in objects.sequence(rule.get("route"))
    ]
    if not targets:
        return Destination("", None, "", "", "a rule has no route", source)
    problem = "it splits traffic between destinations" if any(target != targets[0] for target in targets) else ""
    return Destination(
        host=hostnames.resolved(objects.text(targets[0].get("host")), namespace, domain),
        # A port that is given, if as nothing, counts: route.go:GetDestinationCluster.
        port=None if targets[0].get("port") is None else int(objects.mapping(targets[0]["port"]).get("number") or 0),
        subset=objects.text(targets[0].get("subset")),
        host_after=_host_after(rule),
        problem=problem,
        source=source,
    )


def _host_after(rule: dict[str, Any]) -> str:
    # rewrite.authority and a set Host header are the same to Envoy: route.go:654-662, 725-733.
    authority = objects.text(objects.mapping(rule.get("rewrite")).get("authority"))
    request = objects.mapping(objects.mapping(rule.get("headers")).get("request"))
    for key, value in objects.mapping(request.get("set")).items():
        if objects.text(key).lower() in ("host", ":authority"):
            authority = objects.text(value)
    return authority


def _source(obj: Object) -> str:
    return objects.reference("VirtualService", obj)
