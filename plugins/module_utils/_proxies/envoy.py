# SPDX-License-Identifier: GPL-3.0-or-later
"""A standalone Envoy with a static bootstrap: keeps the incoming Host unless its route rewrites it.

Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto (RouteAction:
`host_rewrite_literal`, `auto_host_rewrite` for clusters of type STRICT_DNS and LOGICAL_DNS, `prefix` and `path`
matches).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    HTTP_1_1,
    HTTP_2,
    PRESERVE,
    UPSTREAM,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import File, FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "envoy"
DEFAULT_FILE = "/etc/envoy/envoy.yaml"
_DNS = ("STRICT_DNS", "LOGICAL_DNS")
_NOT_FOLLOWED = (
    *("host_rewrite", "host_rewrite_header", "host_rewrite_path_regex", "weighted_clusters", "cluster_header"),
    "cluster_specifier_plugin",
)
_Object = dict[str, Any]


def recognise(container: Container) -> bool:
    path = program.repository(container.image)
    return path.startswith("envoyproxy/envoy") or path in ("envoy", "bitnami/envoy", "bitnamilegacy/envoy")


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    path = program.flag(seen.container, "config-path") or program.flag(seen.container, "c") or DEFAULT_FILE
    try:
        file = files.document(seen, path)
        return _static(seen, file, blank)
    except FileError as error:
        return blank._replace(problem=str(error))


def _static(seen: Seen, file: File, blank: Relay) -> Relay:
    """What the bootstrap says. Raises FileError for what it leaves to something else."""
    bootstrap = objects.mapping(file.content)
    dynamic = objects.mapping(bootstrap.get("dynamic_resources"))
    if dynamic:
        raise FileError(f"{file.place} has dynamic_resources ({', '.join(sorted(dynamic))}), which are not read")
    static = objects.mapping(bootstrap.get("static_resources"))
    clusters = {objects.text(one.get("name")): one for one in _mappings(static.get("clusters"))}
    routes = [
        route
        for listener in _mappings(static.get("listeners"))
        if _port(listener) == seen.arrival.port
        for manager in _managers(file, listener)
        for route in _routes(file, manager, seen.arrival.path)
    ]
    found = {_followed(file, clusters, route) for route in routes}
    if len(found) != 1:
        raise FileError(
            f"{file.place} has {len(found)} routes for {seen.arrival.path} on port {seen.arrival.port}, and only one "
            "can be followed"
        )
    upstream, host, version = found.pop()
    how = f"set `host_rewrite_literal: {{host}}` in the route of {file.place}"
    return blank._replace(upstream=upstream, host=host, http_version=version, how=how)


def _managers(file: File, listener: _Object) -> Iterator[_Object]:
    for chain in _mappings(listener.get("filter_chains")):
        for entry in _mappings(chain.get("filters")):
            config = objects.mapping(entry.get("typed_config"))
            kind = objects.text(config.get("@type")).rpartition(".")[2]
            if kind == "HttpConnectionManager":
                yield config
            elif kind == "TcpProxy":
                raise FileError(f"{file.place} forwards the port as TCP (TcpProxy), which is not followed")


def _routes(file: File, manager: _Object, path: str) -> Iterator[_Object]:
    """The first route for the path of every virtual host."""
    if "route_config" not in manager:
        raise FileError(f"{file.place} has no route_config (rds is not read)")
    for host in _mappings(objects.mapping(manager.get("route_config")).get("virtual_hosts")):
        for route in _mappings(host.get("routes")):
            match = objects.mapping(route.get("match"))
            unread = sorted(set(match) - {"prefix", "path", "path_separated_prefix"})
            if unread:
                raise FileError(f"{file.place} matches routes by {unread[0]}, which is not followed")
            prefix = match.get("prefix", match.get("path_separated_prefix"))
            if path == match.get("path") or (prefix is not None and path.startswith(objects.text(prefix))):
                yield objects.mapping(route.get("route"))
                break


def _followed(file: File, clusters: dict[str, _Object], route: _Object) -> tuple[str, str, str]:
    """Upstream URL, Host and HTTP version of a route."""
    unread = next((key for key in _NOT_FOLLOWED if key in route), "")
    if unread:
        raise FileError(f"{file.place} uses {unread}, which is not followed")
    cluster = clusters.get(objects.text(route.get("cluster")), {})
    addresses = {
        (objects.text(address.get("address")), objects.text(address.get("port_value")))
        for locality in _mappings(objects.mapping(cluster.get("load_assignment")).get("endpoints"))
        for endpoint in _mappings(locality.get("lb_endpoints"))
        for address in [_socket(objects.mapping(endpoint.get("endpoint")))]
    }
    if len(addresses) != 1:
        name = objects.text(route.get("cluster")) or "a route without a cluster"
        raise FileError(f"{file.place}: {name} has {len(addresses)} endpoints, and only one can be followed")
    host, port = addresses.pop()
    scheme = "https" if cluster.get("transport_socket") else "http"
    version = HTTP_2 if "http2_protocol_options" in str(cluster) else HTTP_1_1
    automatic = route.get("auto_host_rewrite") is True and cluster.get("type") in _DNS
    # auto_host_rewrite sends the endpoint's name without its port.
    literal = objects.text(route.get("host_rewrite_literal")) or (host if automatic else "")
    same = literal == f"{host}:{port}"
    return f"{scheme}://{host}:{port}", UPSTREAM if same else literal or PRESERVE, version


def _port(listener: _Object) -> int:
    number = objects.mapping(objects.mapping(listener.get("address")).get("socket_address")).get("port_value")
    return number if isinstance(number, int) else 0


def _socket(endpoint: _Object) -> _Object:
    return objects.mapping(objects.mapping(endpoint.get("address")).get("socket_address"))


def _mappings(value: Any) -> list[_Object]:
    return [objects.mapping(entry) for entry in objects.sequence(value)]
