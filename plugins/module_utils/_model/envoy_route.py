# SPDX-License-Identifier: GPL-3.0-or-later
"""What an outbound connection with a Host meets in a sidecar's own configuration: Envoy's answer, beside Istio's.

Envoy's rules, from https://www.envoyproxy.io/docs/envoy/latest/ :
- a listener with `use_original_dst` hands a connection to the listener of the original address, first with exactly that
  address, else 0.0.0.0, else it keeps it (intro/arch_overview/listeners/listener_filters, api-v3
  config/listener/v3/listener.proto: use_original_dst);
- of the filter chains the most specific match wins, criterion by criterion: destination port, address, server names,
  transport protocol, application protocols (config/listener/v3/listener_components.proto: FilterChainMatch); the
  default chain takes what none matches;
- virtual hosts are searched by exact domain, then the longest suffix wildcard (`*.x`), then the longest prefix wildcard
  (`x.*`), then `*` (config/route/v3/route_components.proto: VirtualHost.domains); of its routes the first that matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import (
    Chain,
    Dump,
    Listener,
    RouteEntry,
    Socket,
    Table,
    VirtualHost,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.hostnames import without_port
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    BLOCKED,
    DYNAMIC_DNS,
    MIXED,
    MTLS,
    NO_CLUSTER,
    OTHER_SERVICE,
    PASSTHROUGH,
    PLAINTEXT,
    SERVICE,
    TLS,
    UNKNOWN,
)

CATCH_ALL = "virtualOutbound"
ANY_ADDRESSES = ("0.0.0.0", "::")
# What Envoy's inspectors call a query without TLS (listener_filters/http_inspector).
RAW, HTTP_1_1 = "raw_buffer", "http/1.1"
PASSTHROUGH_CLUSTER, BLACK_HOLE, DYNAMIC_DNS_CLUSTER = (
    "PassthroughCluster",
    "BlackHoleCluster",
    "AllowAnyDynamicDNSCluster",
)
OWN_CLUSTERS = (PASSTHROUGH_CLUSTER, BLACK_HOLE, DYNAMIC_DNS_CLUSTER)


class Met(NamedTuple):
    """listener, table, virtual_host, route, cluster: their names, "" where there is none.

    kind      of the filter chain: http, tcp, or "" where no chain takes the connection
    host      the Host with which the request goes on
    answer    the status with which the sidecar answers by itself, else 0
    several   which route is taken depends on more of the request than its Host, or a share of it goes elsewhere
    """

    listener: str
    kind: str
    table: str = ""
    virtual_host: str = ""
    route: str = ""
    cluster: str = ""
    host: str = ""
    answer: int = 0
    several: bool = False


def outbound(dump: Dump, address: str, port: int, host: str, version: str = HTTP_1_1) -> Met:
    """What a query to `address:port` with this Host meets. version: of HTTP, as the HTTP inspector calls it."""
    listener = _listener(dump.listeners, address, port)
    if listener is None:
        return Met("", "")
    chain = _chain(listener, address, port, version)
    if chain is None or not chain.kind:
        return Met(listener.name, "")
    if chain.kind == "tcp" or not chain.table:
        return Met(listener.name, chain.kind, cluster=chain.cluster, host=host)
    table = next((entry for entry in dump.tables if entry.name == chain.table), None)
    return _routed(Met(listener.name, chain.kind, chain.table, host=host), table, host)


def _routed(met: Met, table: Table | None, host: str) -> Met:
    virtual_host = _virtual_host(table, host) if table else None
    if virtual_host is None:
        return met._replace(answer=404)
    met = met._replace(virtual_host=virtual_host.name)
    route = next(iter(virtual_host.routes), None)
    if route is None:
        return met._replace(answer=404)
    reachable = list(_reachable(virtual_host.routes))
    several = any(_effect(other) != _effect(route) for other in reachable) or reachable[-1].conditional
    return met._replace(
        route=route.name,
        cluster=route.cluster,
        host=route.host or met.host,
        answer=route.answer,
        several=several or not (route.cluster or route.answer),
    )


def _reachable(routes: Iterable[RouteEntry]) -> Iterator[RouteEntry]:
    """The routes that some request takes: those up to the first without a condition."""
    for route in routes:
        yield route
        if not route.conditional:
            return


def _effect(route: RouteEntry) -> tuple[str, str, int]:
    return route.cluster, route.host, route.answer


def _listener(listeners: Iterable[Listener], address: str, port: int) -> Listener | None:
    own = [entry for entry in listeners if entry.name != CATCH_ALL and entry.port == port]
    for bound in ({address}, ANY_ADDRESSES):
        for entry in own:
            if not set(entry.addresses).isdisjoint(bound):
                return entry
    return next((entry for entry in listeners if entry.name == CATCH_ALL), None)


def _chain(listener: Listener, address: str, port: int, version: str) -> Chain | None:
    criteria: tuple[tuple[Callable[[Chain], object], Callable[[Chain], bool]], ...] = (
        (lambda chain: chain.port, lambda chain: chain.port == port),
        (lambda chain: chain.addresses, lambda chain: address in chain.addresses),
        (lambda chain: chain.names, lambda chain: "" in chain.names),
        (lambda chain: chain.transport, lambda chain: chain.transport == RAW),
        (lambda chain: chain.protocols, lambda chain: version in chain.protocols),
    )
    found = list(listener.chains)
    for asks, fits in criteria:
        # Once a chain fits a criterion, those that do not ask for it are out, whatever comes after.
        found = [chain for chain in found if asks(chain) and fits(chain)] or [
            chain for chain in found if not asks(chain)
        ]
    return next(iter([*found, *listener.default]), None)


def _virtual_host(table: Table, host: str) -> VirtualHost | None:
    wanted = without_port(host) if table.ports_ignored else host.lower()
    by_domain = {domain.lower(): entry for entry in table.hosts for domain in entry.domains}
    # A wildcard does not stand for nothing.
    suffixes = [domain for domain in by_domain if domain.startswith("*") and domain != "*"]
    prefixes = [domain for domain in by_domain if domain.endswith("*") and domain != "*"]
    by_suffix = [domain for domain in suffixes if wanted.endswith(domain[1:]) and len(wanted) >= len(domain)]
    by_prefix = [domain for domain in prefixes if wanted.startswith(domain[:-1]) and len(wanted) >= len(domain)]
    for matching in ([wanted] if wanted in by_domain else [], by_suffix, by_prefix):
        if matching:
            return by_domain[max(matching, key=len)]
    return by_domain.get("*")


def kind(dump: Dump, met: Met, host: str, port: int, asked: re.Pattern[str] | None = None) -> str:
    """Where that leads, in the words of _model.path. host, port: of the Service that is meant, by its full name.

    asked: the names that the dump is limited to; a cluster of another name is missing from it for no other reason.
    """
    own = {PASSTHROUGH_CLUSTER: PASSTHROUGH, BLACK_HOLE: BLOCKED, DYNAMIC_DNS_CLUSTER: DYNAMIC_DNS}
    if met.route == "block_all":
        return BLOCKED
    if met.several or met.answer or not met.cluster:
        return UNKNOWN
    if met.cluster in own:
        return own[met.cluster]
    present = any(entry.name == met.cluster for entry in dump.clusters)
    if not present and (asked is None or asked.fullmatch(met.cluster)):
        return NO_CLUSTER
    return SERVICE if re.fullmatch(rf"outbound\|{port}\|[^|]*\|{re.escape(host)}", met.cluster) else OTHER_SERVICE


def transport(dump: Dump, cluster: str, endpoints: Iterable[tuple[str, int]]) -> str:
    """How a cluster speaks to endpoints: MTLS, TLS, PLAINTEXT, MIXED, or UNKNOWN where the dump lacks the cluster."""
    words = {"istio": MTLS, "other": TLS, "": PLAINTEXT}
    found = {words[entry.tls] if entry else UNKNOWN for entry in sockets(dump, cluster, endpoints).values()}
    return found.pop() if len(found) == 1 else MIXED if found else UNKNOWN


def sockets(dump: Dump, cluster: str, addresses: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Socket | None]:
    """How a cluster speaks to each of these endpoints; None where the dump does not have the cluster.

    An endpoint's metadata chooses among the cluster's sockets (config/cluster/v3/cluster.proto:
    transport_socket_matches); a cluster without endpoints of its own (ORIGINAL_DST) has one for all.
    """
    body = next((entry for entry in dump.clusters if entry.name == cluster), None)
    labels = {(entry.address, entry.port): entry.labels for entry in dump.endpoints if entry.cluster == cluster}
    found: dict[tuple[str, int], Socket | None] = {}
    for endpoint in addresses:
        has = set(labels.get(endpoint, ()))
        found[endpoint] = next((entry for entry in body.sockets if has.issuperset(entry.match)), None) if body else None
    return found
