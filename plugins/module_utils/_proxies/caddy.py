# SPDX-License-Identifier: GPL-3.0-or-later
"""Caddy: keeps the incoming Host for http upstreams unless header_up sets another; since 2.11 not for https upstreams.

Sources: https://caddyserver.com/docs/caddyfile/directives/reverse_proxy ("header_up", "upstreams"); caddyserver/caddy
pull request 7454 (2.11.0: https upstreams get their own Host).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    HTTP_1_1,
    HTTP_2,
    PRESERVE,
    UPSTREAM,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import (
    caddy_site,
    caddy_syntax,
    files,
    program,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.caddy_site import Forward
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.caddy_syntax import SyntaxProblemError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "caddy"
DEFAULT_FILE = "/etc/caddy/Caddyfile"
# https upstreams get their own name as Host since this version.
OWN_HOST_SINCE = (2, 11, 0)
_ADDRESS = re.compile(r"(?:(https?|h2c)://)?([A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")
_INCOMING = tuple(f"{{{name}}}" for name in ("host", "hostport", "http.request.host", "http.request.hostport"))
_OWN = tuple(
    f"{{{name}}}"
    for name in ("upstream_hostport", "http.reverse_proxy.upstream.hostport", "http.reverse_proxy.upstream.host")
)


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "from")


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        if "reverse-proxy" in (*seen.container.command, *seen.container.args):
            return _relay(seen, _command(seen.container), "the arguments")
        path = program.flag(seen.container, "config") or DEFAULT_FILE
        file = files.text(seen, path)
        read = _json if path.endswith(".json") else _caddyfile
        found = {_relay(seen, forward, file.place) for forward in read(seen, file.content)}
    except FileError as error:
        return blank._replace(problem=str(error))
    except SyntaxProblemError as error:
        return blank._replace(problem=f"{path}: {error}")
    if len(found) != 1:
        return blank._replace(
            problem=f"{file.place} has {len(found)} reverse_proxy for {seen.arrival.path} on port "
            f"{seen.arrival.port}, and only one can be followed"
        )
    return found.pop()


def _relay(seen: Seen, forward: Forward, place: str) -> Relay:
    """Raises FileError for what is not understood."""
    if forward.unread:
        raise FileError(f"{place} uses {forward.unread}, which is not followed")
    urls = {_url(upstream, forward.tls, place) for upstream in forward.upstreams}
    if len(urls) != 1:
        raise FileError(f"{place} has a reverse_proxy with {len(urls)} upstreams, and only one can be followed")
    url, version = urls.pop()
    return Relay(
        KIND,
        seen.container.name,
        upstream=url,
        host=_host(seen.container, forward.host, url, place),
        http_version=HTTP_2 if forward.http_2 else version,
        how=f"write `header_up Host {{upstream_hostport}}` in the reverse_proxy of {place} and reload Caddy",
    )


def _url(upstream: str, tls: bool, place: str) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(upstream)
    if found is None:
        raise FileError(f"{place} has upstream {upstream!r}, which is not followed")
    scheme = "https" if tls or found[1] == "https" else "http"
    port = found[3] or ("443" if found[1] == "https" else "80")
    return f"{scheme}://{found[2]}:{port}", HTTP_2 if found[1] == "h2c" else HTTP_1_1


def _host(container: Container, header: str, url: str, place: str) -> str:
    if header in _INCOMING:
        return PRESERVE
    if header in _OWN:
        return UPSTREAM
    if header:
        if "{" in header:
            raise FileError(f"{place} sends Host {header!r}, which is not followed")
        return header
    if not url.startswith("https:"):
        return PRESERVE
    version = program.version(container.image)
    if version is None:
        raise FileError(f"which Host it sends to {url} depends on its version, and the image's tag is none")
    return UPSTREAM if version >= OWN_HOST_SINCE else PRESERVE


def _caddyfile(seen: Seen, text: str) -> list[Forward]:
    return caddy_site.forwards(caddy_syntax.parse(text, seen.container.env), seen.arrival)


def _json(seen: Seen, text: str) -> list[Forward]:
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError("its configuration is no JSON") from error
    return caddy_site.json_forwards(decoded, seen.arrival)


def _command(container: Container) -> Forward:
    headers = dict(_headers(container))
    changed = program.switch(container, "change-host-header") == "true"
    host = headers.get("host", "{upstream_hostport}" if changed else "")
    return Forward(tuple(program.flags(container, "to")), host, False, False, "")


def _headers(container: Container) -> Iterator[tuple[str, str]]:
    for header in program.flags(container, "header-up"):
        name, _colon, value = header.partition(":")
        yield name.strip().lower(), value.strip()
