# SPDX-License-Identifier: GPL-3.0-or-later
"""Which reverse_proxy of a Caddy configuration takes a query.

Source: https://caddyserver.com/docs/caddyfile/directives (order; among the same directive the longest path comes
first), https://caddyserver.com/docs/json/apps/http/servers/routes/handle/reverse_proxy/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Arrival
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.caddy_syntax import Line
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError

_GROUPS = ("handle", "handle_path", "route")
# Directives that answer or send a query elsewhere.
_ANSWERS = ("respond", "redir", "file_server", "php_fastcgi", "rewrite", "uri", "abort", "error", "invoke", "try_files")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Forward(NamedTuple):
    """One reverse_proxy. host: what header_up sets, as written; "" for nothing. unread: what of it is not followed."""

    upstreams: tuple[str, ...]
    host: str
    tls: bool
    http_2: bool
    unread: str


def forwards(lines: tuple[Line, ...], arrival: Arrival) -> list[Forward]:
    """The reverse_proxy that takes a query, of every site on the port. Raises FileError for what is not understood."""
    snippets = {line.words[0]: line.block for line in lines if line.block is not None and _is_snippet(line)}
    sites = [line for line in lines if line.words and not _is_snippet(line)]
    if sites and all(line.block is None or index for index, line in enumerate(sites)) and sites[0].block is None:
        # One site alone needs no braces: its address stands in the first line.
        sites = [Line(sites[0].words, tuple(sites[1:]))]
    found = []
    for site in sites:
        if arrival.port in {_port(address) for word in site.words for address in word.split(",") if address}:
            chosen = _most_specific(_inside(site.block or (), arrival.path, 0, snippets, 0))
            found += chosen
    return found


def _is_snippet(line: Line) -> bool:
    return bool(line.words) and line.words[0].startswith(("(", "&("))


def _port(address: str) -> int:
    scheme, separator, rest = address.partition("://")
    rest = rest if separator else address
    number = program.listening_port(f":{rest}" if rest.isdigit() else rest.partition("/")[0])
    return number or _DEFAULT_PORTS.get(scheme if separator else "https", 0)


def _inside(
    block: tuple[Line, ...], path: str, specific: int, snippets: Mapping[str, tuple[Line, ...]], depth: int
) -> Iterator[tuple[int, Forward]]:
    """Every reverse_proxy that the path does not rule out, with the length of the path matchers around it."""
    for line in block:
        name, rest = line.words[0] if line.words else "", line.words[1:]
        matcher, rest = (rest[0], rest[1:]) if rest and rest[0].startswith(("/", "*", "@")) else ("*", rest)
        if matcher.startswith("/") and not _matches(matcher, path):
            continue
        inner = specific + (len(matcher) if matcher.startswith("/") else 0)
        if name in ("reverse_proxy", "import", *_GROUPS, *_ANSWERS) and matcher.startswith("@"):
            raise FileError(f"its Caddyfile has {name} {matcher}, a condition that is not followed")
        if name == "import":
            snippet = snippets.get(f"({line.words[1] if len(line.words) > 1 else ''})")
            if snippet is None or len(line.words) != 2 or depth > 8:
                raise FileError(f"its Caddyfile has `{' '.join(line.words)}`, which is not followed")
            yield from _inside(snippet, path, specific, snippets, depth + 1)
        elif name in _GROUPS:
            yield from _inside(line.block or (), path, inner, snippets, depth + 1)
        elif name == "reverse_proxy":
            yield inner, _forward(rest, line.block or ())
        elif name in _ANSWERS:
            raise FileError(f"its Caddyfile has {name} for {path}, which is not followed")


def _matches(matcher: str, path: str) -> bool:
    return path.startswith(matcher[:-1]) if matcher.endswith("*") else path == matcher


def _most_specific(found: Iterator[tuple[int, Forward]]) -> list[Forward]:
    every = list(found)
    longest = max((length for length, _forward in every), default=0)
    return [forward for length, forward in every if length == longest]


def _forward(upstreams: tuple[str, ...], block: tuple[Line, ...]) -> Forward:
    host = unread = ""
    tls = http_2 = False
    for line in block:
        name, words = line.words[0] if line.words else "", line.words[1:]
        if name == "to":
            upstreams = (*upstreams, *words)
        elif name == "header_up" and words and words[0].lstrip("+-?").lower() == "host":
            host = words[1] if len(words) == 2 else ""
            unread = unread or ("" if len(words) == 2 and words[0].lower() == "host" else " ".join(line.words))
        elif name == "transport":
            inside = line.block or ()
            tls = tls or any(entry.words[:1] and entry.words[0].startswith("tls") for entry in inside)
            http_2 = http_2 or any(entry.words[:1] == ("versions",) and "h2c" in entry.words for entry in inside)
            unread = unread or ("" if words == ("http",) else " ".join(line.words))
        elif name in ("dynamic", "import", "rewrite", "method"):
            unread = unread or " ".join(line.words)
    return Forward(upstreams, host, tls, http_2, unread)


def json_forwards(decoded: Any, arrival: Arrival) -> list[Forward]:
    """As forwards(), of a JSON configuration. Raises FileError for what is not understood."""
    http = objects.mapping(objects.mapping(objects.mapping(decoded).get("apps")).get("http"))
    found = []
    for server in map(objects.mapping, objects.mapping(http.get("servers")).values()):
        ports = {program.listening_port(objects.text(address)) for address in objects.sequence(server.get("listen"))}
        if arrival.port in ports:
            found += list(_json_routes(server.get("routes"), arrival.path, 0))
    return found


def _json_routes(routes: Any, path: str, depth: int) -> Iterator[Forward]:
    for route in map(objects.mapping, objects.sequence(routes)):
        if depth > 16:
            raise FileError("its configuration nests routes more than 16 deep")
        matchers = [objects.mapping(entry) for entry in objects.sequence(route.get("match"))]
        if matchers and not any(_json_matches(matcher, path) for matcher in matchers):
            continue
        for handler in map(objects.mapping, objects.sequence(route.get("handle"))):
            if handler.get("handler") == "subroute":
                yield from _json_routes(handler.get("routes"), path, depth + 1)
            elif handler.get("handler") == "reverse_proxy":
                yield _json_forward(handler)


def _json_matches(matcher: dict[str, Any], path: str) -> bool:
    patterns = [objects.text(pattern) for pattern in objects.sequence(matcher.get("path"))]
    return not patterns or any(_matches(pattern, path) for pattern in patterns)


def _json_forward(handler: dict[str, Any]) -> Forward:
    dials = [objects.text(objects.mapping(entry).get("dial")) for entry in objects.sequence(handler.get("upstreams"))]
    request = objects.mapping(objects.mapping(handler.get("headers")).get("request"))
    headers = {name.lower(): value for name, value in objects.mapping(request.get("set")).items()}
    values = [objects.text(value) for value in objects.sequence(headers.get("host"))]
    transport = objects.mapping(handler.get("transport"))
    touched = str([request.get(action) for action in ("add", "delete", "replace")]).lower()
    unread = (
        "dynamic_upstreams" if handler.get("dynamic_upstreams") else "headers for Host" if "'host'" in touched else ""
    )
    return Forward(
        tuple(dials),
        values[0] if values else "",
        "tls" in transport,
        "h2c" in objects.sequence(transport.get("versions")),
        unread,
    )
