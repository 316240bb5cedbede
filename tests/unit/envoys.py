# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoys as data: what a `config_dump` has for one hop, in Envoy's own JSON."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    envoy_dump,
    envoy_plain,
    inbound,
    objects,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    BLOCKED,
    MIXED,
    MTLS,
    PASSTHROUGH,
    SERVICE,
    TLS,
    Hop,
)

Json = dict[str, Any]
TLS_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
HTTP, TCP = "envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy"
HTTP_MATCH = {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}


def dump(**entries: list[Json]) -> Json:
    """A whole `config_dump`. entries: dynamic_listeners, dynamic_route_configs and so on."""
    return {"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.SomeConfigDump", **entries}]}


def listener(name: str, address: str, port: int, chains: list[Json], default: Json | None = None) -> Json:
    body = {"name": name, "address": {"socket_address": {"address": address, "port_value": port}}}
    body |= {"filter_chains": chains, **({"default_filter_chain": default} if default else {})}
    return {"name": name, "active_state": {"listener": body}}


def http_chain(table: str, match: Json | None = None, rbac: Json | None = None) -> Json:
    filters = [{"name": "envoy.filters.http.rbac", "typed_config": rbac}] if rbac else []
    settings: Json = {"rds": {"route_config_name": table}, "http_filters": filters}
    chain = {"filters": [{"name": HTTP, "typed_config": settings}]}
    return {**chain, **({"filter_chain_match": match} if match else {})}


def tcp_chain(cluster: str, match: Json | None = None, rbac: Json | None = None) -> Json:
    filters = [{"name": "envoy.filters.network.rbac", "typed_config": rbac}] if rbac else []
    filters.append({"name": TCP, "typed_config": {"cluster": cluster}})
    return {"filters": filters, **({"filter_chain_match": match} if match else {})}


def table(name: str, *hosts: Json) -> Json:
    return {"route_config": {"name": name, "virtual_hosts": list(hosts), "ignore_port_in_host_matching": True}}


def virtual_host(name: str, domains: list[str], *routes: Json) -> Json:
    return {"name": name, "domains": domains, "routes": list(routes)}


def route(cluster: str, name: str = "default", match: Json | None = None, **action: Any) -> Json:
    return {"name": name, "match": match or {"prefix": "/"}, "route": {"cluster": cluster, **action}}


BLOCK_ALL = {"name": "block_all", "match": {"prefix": "/"}, "direct_response": {"status": 502}}


def cluster(name: str, mode: str) -> Json:
    """A cluster that speaks mTLS, TLS or plaintext to every endpoint."""
    body: Json = {"name": name, "type": "EDS"}
    if mode in (MTLS, TLS):
        certificates = {"tls_certificate_sds_secret_configs": [{"name": "default"}]} if mode == MTLS else {}
        context = {"@type": TLS_CONTEXT, "sni": "x", "common_tls_context": certificates}
        body["transport_socket"] = {"name": "tls", "typed_config": context}
    return {"cluster": body}


def client(hop: Hop) -> Json:
    """What the client's Envoy has where the prediction for a hop holds."""
    address = next(iter([*(pod.ip for pod in hop.step.pods_dialled), *hop.step.service.cluster_ips]))
    shared = hop.route.listener.startswith("0.0.0.0") or not hop.route.listener
    bound = "0.0.0.0" if shared else address
    name = hop.route.listener.replace("<pod>", address)
    clusters = [cluster("PassthroughCluster", "plaintext"), cluster("BlackHoleCluster", "plaintext")]
    if hop.route.kind == SERVICE:
        clusters.append(cluster(hop.route.cluster, hop.transport.mode))
    elif hop.route.kind == "other_service":
        clusters.append(cluster(hop.route.cluster, MTLS))
    target = hop.route.cluster
    if hop.route.name or (hop.route.kind == BLOCKED and not target) or hop.route.host_after != hop.host:
        entry = BLOCK_ALL if hop.route.kind == BLOCKED else route(target, hop.route.name)
        if hop.route.host_after != hop.host:
            entry = route(target, hop.route.name, host_rewrite_literal=hop.route.host_after)
        tables = [table("t", virtual_host("v", ["*"], entry))]
        chains = [http_chain("t")]
    else:
        tables, chains = [], [tcp_chain(target)]
    port = 15001 if name == "virtualOutbound" else hop.step.port.number
    found = listener(name, bound, port, chains)
    return dump(dynamic_listeners=[found], dynamic_route_configs=tables, dynamic_active_clusters=clusters)


def server(hop: Hop, pod_name: str, denies: bool = False) -> Json:
    """What the server's Envoy has where the prediction for a hop holds. denies: an ALLOW policy without a rule."""
    mode = dict(hop.modes)[pod_name].mode
    pod = next(entry for entry in hop.step.server.pods if entry.name == pod_name)
    port = {"destination_port": objects.target_port(hop.step.port, pod)}
    kind = inbound.kind(inbound.deciding(hop.step)[1])
    rbac: Json | None = {"rules": {}} if denies else None
    chains = []
    for transport in {"STRICT": ("tls",), "DISABLE": ("raw_buffer",)}.get(mode, ("tls", "raw_buffer")):
        match = {**port, "transport_protocol": transport}
        made = tcp_chain("inbound|1||", match, rbac) if kind == "TCP" else http_chain("", match)
        if transport == "tls":
            context = {"@type": "x.DownstreamTlsContext", "require_client_certificate": True}
            made["transport_socket"] = {"name": "tls", "typed_config": context}
        chains.append(made)
    return dump(dynamic_listeners=[listener("virtualInbound", "0.0.0.0", 15006, chains)])


def plain(raw: Json) -> Json:
    """As a snapshot holds it."""
    return envoy_plain.to_object(envoy_dump.parse(raw))


def truthful(hop: Hop, denies: bool = False) -> dict[str, Json]:
    """Both Envoys of a hop by pod, as the prediction wants them; a pod without a sidecar has none."""
    found = {}
    for pod in hop.step.client.pods:
        if pod.mesh == "sidecar" and hop.route.kind in (SERVICE, PASSTHROUGH, BLOCKED, "other_service", "no_cluster"):
            found[pod.name] = plain(client(hop))
    for pod in hop.step.server.pods:
        if pod.name in dict(hop.modes) and hop.transport.mode != MIXED:
            found[pod.name] = plain(server(hop, pod.name, denies))
    return found
