# SPDX-License-Identifier: GPL-3.0-or-later
"""What oauth2-proxy and its OpenShift relative have in common.

They take their settings from flags, then variables, then a configuration file, and keep the incoming Host unless
`--pass-host-header=false`.

Sources: oauth2-proxy pkg/apis/options (flags, variables `OAUTH2_PROXY_<FLAG>`, plurals in the file), docs
"Configuration".
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program, toml
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

HOST_FLAG = "pass-host-header"


class Setting(NamedTuple):
    """values: all of a list; () where nothing sets it. place: the file that does; "" for flags and variables."""

    values: tuple[str, ...] = ()
    place: str = ""


def setting(seen: Seen, flag: str, variable: str, key: str) -> Setting:
    """One setting. variable: "" for a program that reads none.

    Raises NotReadError, and FileError where something that cannot be read may set it.
    """
    given = program.flags(seen.container, flag)
    if given:
        return Setting(tuple(given))
    if variable in seen.container.env:
        value = seen.container.env[variable]
        if value is None:
            raise FileError(f"the value of {variable} comes from another object")
        return Setting(tuple(part.strip() for part in value.split(",")))
    if variable and seen.container.env_from:
        raise FileError(f"ConfigMap {seen.container.env_from[0]} (envFrom) may set {variable}")
    path = program.flag(seen.container, "config")
    return _in_file(seen, path, key) if path else Setting()


def _in_file(seen: Seen, path: str, key: str) -> Setting:
    file = files.text(seen, path)
    settings = toml.parse(file.content)
    if settings.unknown:
        raise FileError(f"{file.place} has a line that is not understood: {settings.unknown!r}")
    value = settings.values.get(key)
    if value is None:
        return Setting()
    return Setting(tuple(value) if isinstance(value, list) else (value,), file.place)


def proxied(upstreams: tuple[str, ...], path: str) -> str:
    """The upstream to which a path is sent: the one with the longest path that it lies below; "" for none.

    Raises FileError for an address that is none. Static answers and files are no upstreams of a query.
    """
    routes = {}
    for upstream in upstreams:
        try:
            parts = urlsplit(upstream)
        except ValueError as error:
            raise FileError(f"its upstream {upstream!r} is no URL") from error
        if parts.scheme in ("http", "https"):
            routes[parts.path or "/"] = upstream
    matching = [route for route in routes if path == route or (route.endswith("/") and path.startswith(route))]
    return routes[max(matching, key=len)] if matching else ""


def relay(seen: Seen, blank: Relay, variables: bool) -> Relay:
    """What such a program does with a query; `problem` says what cannot be told. Raises NotReadError.

    blank: the relay without upstream and Host. variables: it reads `OAUTH2_PROXY_<FLAG>` too.
    """
    prefix = "OAUTH2_PROXY_" if variables else ""
    try:
        upstreams = setting(seen, "upstream", prefix and f"{prefix}UPSTREAMS", "upstreams")
        upstream = proxied(upstreams.values, seen.arrival.path)
        if not upstream:
            return blank._replace(problem="none of its upstreams is an http or https URL for the path of a query")
        blank = blank._replace(upstream=upstream)
        keeps = setting(seen, HOST_FLAG, prefix and f"{prefix}PASS_HOST_HEADER", "pass_host_header").values
    except FileError as error:
        return blank._replace(problem=str(error))
    return blank._replace(host=UPSTREAM if keeps and keeps[-1].lower() in ("false", "f", "0") else PRESERVE)


def with_host(args: list[str]) -> list[str]:
    """The arguments that make it send the host of its upstream's URL, whatever that is."""
    return [*program.without_switch(args, HOST_FLAG), f"--{HOST_FLAG}=false"]
