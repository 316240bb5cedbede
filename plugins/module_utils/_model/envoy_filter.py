# SPDX-License-Identifier: GPL-3.0-or-later
"""Which EnvoyFilters change what a hop meets in its sidecars, as far as their matches and their fields tell.

What a patch makes of Envoy's configuration is not modelled, only whether it can touch the hop at all. Sources
(istio/istio release-1.31): pilot/pkg/model/push_context.go EnvoyFilters (root namespace, then the workload's own),
policyattachment.go ShouldAttachPolicy (labels; `targetRefs` are for gateways and waypoints), envoyfilter.go proxyMatch,
pilot/pkg/networking/core/envoyfilter/{rc,cluster,listener}_patch.go (the match functions). Which fields choose a route,
an endpoint or TLS: https://www.envoyproxy.io/docs/envoy/latest/api-v3/api
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    hostnames,
    inbound,
    objects,
    protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, list_needs, namespaced
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import NO_SIDECAR, Hop, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object

OUTBOUND, INBOUND = "SIDECAR_OUTBOUND", "SIDECAR_INBOUND"
# The listeners to which iptables redirects: https://istio.io/latest/docs/ops/deployment/application-requirements/
_VIRTUAL = {OUTBOUND: ("virtualOutbound", 15001), INBOUND: ("virtualInbound", 15006)}
_ROUTES = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
_FILTERS = ("HTTP_FILTER", "NETWORK_FILTER", "LISTENER_FILTER")
_WHOLE = ("LISTENER", "FILTER_CHAIN", "CLUSTER", *_ROUTES)
# A merge that sets none of these leaves the hop's route, endpoints and TLS alone: timeouts, retries, headers, logs.
_DECIDE: Mapping[str, frozenset[str]] = {
    "ROUTE_CONFIGURATION": frozenset({"virtual_hosts", "vhds"}),
    "VIRTUAL_HOST": frozenset({"domains", "routes", "matcher", "require_tls"}),
    "HTTP_ROUTE": frozenset(
        {
            *("match", "redirect", "direct_response", "filter_action", "prefix_rewrite", "regex_rewrite"),
            *("cluster", "cluster_header", "weighted_clusters", "cluster_specifier_plugin", "inline_cluster_specifier"),
            *("host_rewrite", "host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex"),
            *("auto_host_rewrite", "path_rewrite_policy"),
        }
    ),
    "CLUSTER": frozenset(
        {
            *("type", "cluster_type", "load_assignment", "eds_cluster_config", "transport_socket"),
            *("transport_socket_matches", "tls_context", "hosts"),
        }
    ),
    "LISTENER": frozenset(
        {
            *("address", "filter_chains", "default_filter_chain", "filter_chain_matcher", "listener_filters"),
            *("bind_to_port", "use_original_dst"),
        }
    ),
    "FILTER_CHAIN": frozenset({"filters", "filter_chain_match", "transport_socket", "tls_context"}),
    # Of the HTTP connection manager and the TCP proxy.
    "NETWORK_FILTER": frozenset(
        {
            *("rds", "route_config", "scoped_routes", "http_filters", "http_protocol_options"),
            *("cluster", "weighted_clusters"),
        }
    ),
}
# Filters that let every request pass as it is, by the end of their type. Istio's own are those that istiod adds itself
# since 1.12, and that EnvoyFilters named stats-filter-1.x and metadata-exchange-1.x added before.
_BYSTANDERS = (
    "stats.PluginConfig",
    "peer_metadata.Config",
    "metadataexchange.config.MetadataExchange",
    "grpc_stats.v3.FilterConfig",
    "header_to_metadata.v3.Config",
    "http.tap.v3.Tap",
    "router.v3.Router",
    "compressor.v3.Compressor",
    "decompressor.v3.Decompressor",
    "cors.v3.Cors",
)
_ISTIOS_OWN = ("istio.stats", "istio.metadata_exchange")
_BUILT_IN = "envoy.wasm.runtime.null"
# What a Lua script calls or names to answer by itself or to choose another route.
_LUA_DECIDES = re.compile(r"respond\s*\(|clearRouteCache|setUpstreamOverrideHost|:authority|:path|\bfilename\b")


class Touch(NamedTuple):
    """A patch that can change a hop.

    filter   `EnvoyFilter/namespace/name`
    sidecar  name of the workload whose sidecar has it
    patch    what it does, e.g. `VIRTUAL_HOST ADD`
    shown    Envoy's listeners, routes and clusters show what it does; False: only a request does
    """

    filter: str
    sidecar: str
    patch: str
    shown: bool


class _Side(NamedTuple):
    """One sidecar of a hop, and what of its configuration the hop meets.

    ports: how listeners and filter chains name the port. tables, clusters: names.
    """

    context: str
    pods: tuple[Pod, ...]
    ports: frozenset[int]
    tables: frozenset[str]
    cluster: str
    host: str
    http: bool


def needs(path: Path) -> tuple[Need, ...]:
    """The lists that hold every EnvoyFilter which can select a sidecar of the path."""
    workloads = (path.grafana, *(hop.step.server for hop in path.hops))
    namespaces = [workload.namespace for workload in workloads if workload.mesh in ("sidecar", "mixed")]
    root = path.mesh.root_namespace
    return list_needs("EnvoyFilter", (*namespaces, root) if namespaced((*namespaces, root)) else ("",))


def of_hop(config: Mesh, hop: Hop, filters: Iterable[Object]) -> tuple[Touch, ...]:
    """The patches that can change what a hop meets, in the order of their filters. filters: as read for `needs`."""
    found = []
    for obj in filters:
        for name, side in _sides(config, hop):
            if any(_selects(config, obj, pod) for pod in side.pods):
                found += [
                    Touch(objects.reference("EnvoyFilter", obj), name, *done)
                    for entry in map(objects.mapping, objects.sequence(objects.spec(obj).get("configPatches")))
                    if (done := _touches(entry, side)) is not None
                ]
    return tuple(dict.fromkeys(found))


def _sides(config: Mesh, hop: Hop) -> Iterator[tuple[str, _Side]]:
    step, number = hop.step, hop.step.port.number
    full = hostnames.fqdn(step.service, config.domain)
    clients = tuple(pod for pod in step.client.pods if pod.mesh == "sidecar")
    if clients and hop.route.kind != NO_SIDECAR:
        tables = frozenset({str(number), f"{full}:{number}"})
        http = hop.protocol.kind != protocol.TCP
        yield (
            step.client.name,
            _Side(OUTBOUND, clients, frozenset({number, _VIRTUAL[OUTBOUND][1]}), tables, hop.route.cluster, full, http),
        )
    intercepted = dict(hop.modes)
    servers = tuple(pod for pod in step.server.pods if pod.mesh == "sidecar" and pod.name in intercepted)
    if servers:
        port = objects.target_port(step.port, servers[0])
        http = inbound.kind(inbound.deciding(step)[1]) != protocol.TCP
        cluster = f"inbound|{port}||"
        yield (
            step.server.name,
            _Side(
                INBOUND,
                servers,
                frozenset({number, port, _VIRTUAL[INBOUND][1]}),
                frozenset({cluster}),
                cluster,
                full,
                http,
            ),
        )


def _selects(config: Mesh, obj: Object, pod: Pod) -> bool:
    body = objects.spec(obj)
    labels = objects.mapping(objects.mapping(body.get("workloadSelector")).get("labels"))
    at_home = objects.namespace(obj) in (config.root_namespace, pod.namespace)
    return at_home and not body.get("targetRefs") and objects.selects(labels, pod.labels)


def _touches(entry: Mapping[str, Any], side: _Side) -> tuple[str, bool] | None:
    """What a patch does and whether Envoy's configuration shows it; None where it cannot touch this side of the hop."""
    apply_to, match = objects.text(entry.get("applyTo")), _plain(entry.get("match"))
    patch = objects.mapping(entry.get("patch"))
    operation, value = objects.text(patch.get("operation")), _plain(patch.get("value"))
    context = objects.text(match.get("context")) or "ANY"
    if apply_to not in (*_FILTERS, *_WHOLE) or context not in ("ANY", side.context) or not _version(match, side):
        return None
    if apply_to in _ROUTES:
        meets = side.http and _route_matches(
            apply_to, operation, objects.mapping(match.get("route_configuration")), side
        )
    elif apply_to == "CLUSTER":
        meets = _cluster_matches(operation, objects.mapping(match.get("cluster")), value, side)
    else:
        meets = (side.http or apply_to != "HTTP_FILTER") and _listener_matches(
            operation, objects.mapping(match.get("listener")), value, side
        )
    if not meets:
        return None
    if apply_to in _FILTERS and (apply_to != "NETWORK_FILTER" or operation not in ("MERGE", "REPLACE")):
        named = _filter_name(objects.mapping(match.get("listener")), value)
        return None if _bystander(operation, named, value) else (f"{apply_to} {operation} {named}".strip(), False)
    if operation == "MERGE" and not _fields(value) & _DECIDE[apply_to]:
        return None
    return f"{apply_to} {operation}", True


def _version(match: Mapping[str, Any], side: _Side) -> bool:
    """Whether the patch is for a release that a sidecar may be: Istio searches its version for the pattern."""
    pattern = objects.text(objects.mapping(match.get("proxy")).get("proxy_version"))
    tags = [pod.sidecar_image.partition("@")[0].rpartition(":")[2] for pod in side.pods if pod.sidecar_version]
    if not pattern or len(tags) < len(side.pods):
        return True
    try:
        return any(re.search(pattern, tag.removeprefix("v")) for tag in tags)
    except re.error:
        return True


def _route_matches(apply_to: str, operation: str, match: Mapping[str, Any], side: _Side) -> bool:
    if match.get("name") and match["name"] not in side.tables:
        return False
    if not _port_matches(match.get("port_number"), side):
        return False
    host = objects.text(objects.mapping(match.get("vhost")).get("name"))
    # A virtual host is named `host:port`; what is added beside it is not it.
    port = host.rpartition(":")[2]
    adds = apply_to == "VIRTUAL_HOST" and operation == "ADD"
    return adds or not port.isdigit() or _port_matches(port, side)


def _cluster_matches(operation: str, match: Mapping[str, Any], value: Mapping[str, Any], side: _Side) -> bool:
    if operation == "ADD":
        return bool(side.cluster) and value.get("name") == side.cluster
    if match.get("name"):
        return bool(match["name"] == side.cluster)
    # clusterMatch: `outbound|port|subset|host`; a cluster without such a name, as PassthroughCluster, has none of them.
    _direction, port, subset, host = [*side.cluster.split("|"), "", "", ""][:4]
    if side.context == INBOUND:
        host = side.host
    wanted = ((match.get("subset"), subset), (match.get("service"), host), (match.get("port_number"), port))
    return bool(side.cluster) and all(not field or str(field) == found for field, found in wanted)


def _listener_matches(operation: str, match: Mapping[str, Any], value: Mapping[str, Any], side: _Side) -> bool:
    name = objects.text(match.get("name"))
    port = name.rpartition("_")[2]
    if name.startswith("virtual"):
        if name != _VIRTUAL[side.context][0]:
            return False
    elif name and (side.context == INBOUND or (port.isdigit() and not _port_matches(port, side))):
        return False
    chain = objects.mapping(match.get("filter_chain"))
    added = objects.mapping(objects.mapping(value.get("address")).get("socket_address")).get("port_value")
    ports = (match.get("port_number"), chain.get("destination_port"), added if operation == "ADD" else None)
    return all(_port_matches(number, side) for number in ports)


def _port_matches(number: Any, side: _Side) -> bool:
    """Whether a match's port is one of the hop's; 0 or none is any."""
    return not number or str(number) in {str(port) for port in side.ports}


def _filter_name(match: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    """Of the filter that is added, or of the one that is matched where nothing is added."""
    found = objects.mapping(objects.mapping(match.get("filter_chain")).get("filter"))
    inner = objects.mapping(found.get("sub_filter")).get("name") or found.get("name") or match.get("listener_filter")
    return objects.text(value.get("name") or inner)


def _bystander(operation: str, name: str, value: Mapping[str, Any]) -> bool:
    if operation == "REMOVE":
        return name in _ISTIOS_OWN
    settings = objects.mapping(value.get("typed_config"))
    kind = objects.text(settings.get("type_url") or settings.get("@type"))
    if kind.endswith(("lua.v3.Lua", "lua.v2.Lua")):
        return not _LUA_DECIDES.search(str(settings))
    if kind.endswith((".wasm.v3.Wasm", ".wasm.v2.Wasm")):
        return f"'{_BUILT_IN}'" in str(settings)
    return kind.endswith(_BYSTANDERS)


def _fields(value: Mapping[str, Any]) -> set[str]:
    """The names of the fields that a merge sets: its own, a route action's, a filter's."""
    settings = objects.mapping(value.get("typed_config"))
    inner = (value, objects.mapping(value.get("route")), settings, objects.mapping(settings.get("value")))
    return {name for entry in inner for name in entry}


def _plain(value: Any) -> dict[str, Any]:
    """A message of Envoy or Istio with its fields in snake case: JSON may have either spelling."""
    return {_snake(name): _inner(entry) for name, entry in objects.mapping(value).items()}


def _inner(value: Any) -> Any:
    if isinstance(value, list):
        return [_inner(entry) for entry in value]
    return _plain(value) if isinstance(value, dict) else value


def _snake(name: Any) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", objects.text(name)).lower()
