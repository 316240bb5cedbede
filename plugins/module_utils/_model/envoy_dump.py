# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Envoy's `config_dump` says about connections, reduced to what a judge compares; never a secret.

Only the fields named here are taken over, so that certificates, tokens in filters and header values of policies stay
where they are. Sources: https://www.envoyproxy.io/docs/envoy/latest/operations/admin (config_dump) and the messages
envoy.admin.v3.{Listeners,Routes,Clusters,Endpoints}ConfigDump; with `resource=` or `name_regex=` the same entries come
in the same form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import (
    Chain,
    Cluster,
    Dump,
    EndpointEntry,
    Listener,
    PolicyRule,
    RouteEntry,
    Socket,
    Table,
    VirtualHost,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import mapping, sequence, text
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

HTTP_MANAGER, TCP_PROXY = "envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy"
# Under this name Envoy fetches the workload's certificate, and this it offers by ALPN: istio/istio release-1.31
# pkg/model/authentication.go:31, pilot/pkg/networking/util/util.go:158-166.
WORKLOAD_CERTIFICATE, ISTIO_ALPN = "default", "istio"
# The way into an HBONE tunnel, which is mTLS: pilot/pkg/networking/core/cluster_tls.go.
TUNNEL = ".InternalUpstreamTransport"
MOVED = 301
_RBAC = ("envoy.filters.network.rbac", "envoy.filters.http.rbac")
_SOCKET_MATCH = "envoy.transport_socket_match"


def parse(raw: Object) -> Dump:
    """The dump of Envoy's admin interface, decoded from JSON. What is not there is left out, never invented."""
    return Dump(
        tuple(_listener(entry) for entry in _entries(raw, "DynamicListener", "dynamic_listeners")),
        tuple(
            _table(mapping(entry.get("route_config")))
            for entry in _entries(raw, "DynamicRouteConfig", "dynamic_route_configs")
        ),
        tuple(
            _cluster(mapping(entry.get("cluster")))
            for entry in _entries(raw, "DynamicCluster", "dynamic_active_clusters")
        ),
        tuple(
            found
            for entry in _entries(raw, "DynamicEndpointConfig", "dynamic_endpoint_configs")
            for found in _endpoints(mapping(entry.get("endpoint_config")))
        ),
    )


def _entries(raw: Object, single: str, field: str) -> Iterator[dict[str, Any]]:
    """The dynamic entries of a type, in a whole dump and in one that was asked for with `resource=`."""
    for config in map(mapping, sequence(raw.get("configs"))):
        if text(config.get("@type")).endswith(f".{single}"):
            yield config
        yield from map(mapping, sequence(config.get(field)))


def _listener(entry: dict[str, Any]) -> Listener:
    # A listener that Envoy refused has only an error_state; one that still drains has no active_state.
    body = mapping(mapping(entry.get("active_state")).get("listener"))
    more = (mapping(entry).get("address") for entry in sequence(body.get("additional_addresses")))
    sockets = [mapping(mapping(address).get("socket_address")) for address in (body.get("address"), *more)]
    default = mapping(body.get("default_filter_chain"))
    return Listener(
        text(entry.get("name")),
        tuple(text(socket.get("address")) for socket in sockets if socket),
        int(sockets[0].get("port_value", 0)),
        tuple(_chain(mapping(chain)) for chain in sequence(body.get("filter_chains"))),
        (_chain(default),) if default else (),
    )


def _chain(chain: dict[str, Any]) -> Chain:
    match = mapping(chain.get("filter_chain_match"))
    filters = [mapping(entry) for entry in sequence(chain.get("filters"))]
    last = next((entry for entry in filters if entry.get("name") in (HTTP_MANAGER, TCP_PROXY)), {})
    settings = mapping(last.get("typed_config"))
    own_table = mapping(settings.get("route_config"))
    every = [*filters, *map(mapping, sequence(settings.get("http_filters")))]
    rbac = [mapping(entry.get("typed_config")) for entry in every if entry.get("name") in _RBAC]
    tls = mapping(mapping(chain.get("transport_socket")).get("typed_config"))
    return Chain(
        port=int(match.get("destination_port", 0)),
        transport=text(match.get("transport_protocol")),
        protocols=tuple(map(text, sequence(match.get("application_protocols")))),
        addresses=tuple(text(mapping(entry).get("address_prefix")) for entry in sequence(match.get("prefix_ranges"))),
        names=tuple(map(text, sequence(match.get("server_names")))),
        kind={HTTP_MANAGER: "http", TCP_PROXY: "tcp"}.get(text(last.get("name")), ""),
        table=text(mapping(settings.get("rds")).get("route_config_name")),
        cluster=text(settings.get("cluster")) or _first_cluster(own_table),
        tls=bool(tls),
        certificate=bool(tls.get("require_client_certificate")),
        rbac=tuple(_action(entry) for entry in rbac if "rules" in entry),
        rules=tuple(rule for entry in rbac for rule in _rules(mapping(entry.get("rules")))),
    )


def _first_cluster(table: dict[str, Any]) -> str:
    found = (route.cluster for host in _table(table).hosts for route in host.routes if route.cluster)
    return next(found, "")


def _action(rbac: dict[str, Any]) -> str:
    # 0 is ALLOW and left out by Envoy: envoy.config.rbac.v3.RBAC.Action.
    return text(mapping(rbac.get("rules")).get("action")) or "ALLOW"


def _rules(rules: dict[str, Any]) -> Iterator[PolicyRule]:
    action = text(rules.get("action")) or "ALLOW"
    for name, policy in sorted(mapping(rules.get("policies")).items()):
        sides = (mapping(policy).get("permissions"), mapping(policy).get("principals"))
        yield PolicyRule(name, action, all(any(map(_always, sequence(side))) for side in sides))


def _always(condition: Any) -> bool:
    """Whether a permission or principal of Envoy's RBAC holds for every connection."""
    body = mapping(condition)
    if body.get("any"):
        return True
    for key in ("and_rules", "and_ids"):
        parts = [*sequence(mapping(body.get(key)).get("rules")), *sequence(mapping(body.get(key)).get("ids"))]
        if parts:
            return all(map(_always, parts))
    return False


def _table(body: dict[str, Any]) -> Table:
    hosts = tuple(
        VirtualHost(
            text(host.get("name")),
            tuple(map(text, sequence(host.get("domains")))),
            tuple(_route(mapping(route)) for route in sequence(host.get("routes"))),
        )
        for host in map(mapping, sequence(body.get("virtual_hosts")))
    )
    return Table(text(body.get("name")), hosts, bool(body.get("ignore_port_in_host_matching")))


def _route(body: dict[str, Any]) -> RouteEntry:
    match, action = mapping(body.get("match")), mapping(body.get("route"))
    weighted = sequence(mapping(action.get("weighted_clusters")).get("clusters"))
    clusters = {text(mapping(entry).get("name")) for entry in weighted} | {text(action.get("cluster"))} - {""}
    return RouteEntry(
        name=text(body.get("name")),
        conditional=match.get("prefix") != "/" or bool(set(match) - {"prefix", "case_sensitive"}),
        cluster=clusters.pop() if len(clusters) == 1 else "",
        host=text(action.get("host_rewrite_literal")),
        answer=MOVED if "redirect" in body else int(mapping(body.get("direct_response")).get("status", 0)),
    )


def _cluster(body: dict[str, Any]) -> Cluster:
    matches = [mapping(entry) for entry in sequence(body.get("transport_socket_matches"))]
    sockets = [_socket(_labels(entry.get("match")), mapping(entry.get("transport_socket"))) for entry in matches]
    if not matches:
        sockets = [_socket((), mapping(body.get("transport_socket")))]
    return Cluster(text(body.get("name")), text(body.get("type")), tuple(sockets))


def _labels(metadata: Any) -> tuple[str, ...]:
    return tuple(sorted(f"{key}={text(value)}" for key, value in mapping(metadata).items()))


def _socket(match: tuple[str, ...], socket: dict[str, Any]) -> Socket:
    settings = mapping(socket.get("typed_config"))
    kind = text(settings.get("@type"))
    if not kind.endswith(".UpstreamTlsContext"):
        return Socket(match, "istio" if kind.endswith(TUNNEL) else "", "", ())
    common = mapping(settings.get("common_tls_context"))
    certificates = [mapping(entry) for entry in sequence(common.get("tls_certificate_sds_secret_configs"))]
    istio = any(entry.get("name") == WORKLOAD_CERTIFICATE for entry in certificates)
    istio = istio or ISTIO_ALPN in sequence(common.get("alpn_protocols"))
    combined = mapping(mapping(common.get("combined_validation_context")).get("default_validation_context"))
    identities = (text(mapping(entry).get("exact")) for entry in sequence(combined.get("match_subject_alt_names")))
    return Socket(match, "istio" if istio else "other", text(settings.get("sni")), tuple(identities))


def _endpoints(body: dict[str, Any]) -> Iterator[EndpointEntry]:
    for locality in map(mapping, sequence(body.get("endpoints"))):
        for entry in map(mapping, sequence(locality.get("lb_endpoints"))):
            socket = mapping(mapping(mapping(entry.get("endpoint")).get("address")).get("socket_address"))
            metadata = mapping(mapping(entry.get("metadata")).get("filter_metadata"))
            yield EndpointEntry(
                text(body.get("cluster_name")),
                text(socket.get("address")),
                int(socket.get("port_value", 0)),
                _labels(metadata.get(_SOCKET_MATCH)),
            )
