# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache httpd: sends the name in its ProxyPass as Host unless ProxyPreserveHost is on.

Sources: https://httpd.apache.org/docs/2.4/mod/mod_proxy.html (ProxyPass, ProxyPreserveHost, environment variable
`force-proxy-request-1.0`); modules/proxy/proxy_util.c, ap_proxy_create_hdrbrgd (with ProxyPreserveHost on, what
`RequestHeader set Host` left is sent; with it off, that plays no part). Measured: docs/truth-table.md rows P-ap-on,
P-ap-off.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    HTTP_1_0,
    HTTP_1_1,
    PRESERVE,
    UPSTREAM,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import apache_syntax, files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.apache_syntax import (
    Directive,
    SyntaxProblemError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import File, FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "apache"
NAMES = ("httpd", "apache")
_MAIN = (
    "/usr/local/apache2/conf/httpd.conf",
    "/opt/bitnami/apache/conf/httpd.conf",
    "/etc/apache2/apache2.conf",
    "/etc/httpd/conf/httpd.conf",
)
# What the stock httpd.conf of an image includes, besides files of modules.
_INCLUDED = (
    *("/usr/local/apache2/conf/extra/*.conf", "/opt/bitnami/apache/conf/vhosts/*.conf"),
    *("/etc/apache2/sites-enabled/*.conf", "/etc/apache2/conf-enabled/*.conf", "/etc/httpd/conf.d/*.conf"),
)
# Files of the images that say nothing about where a request goes and under which Host.
_HARMLESS = (
    "proxy-html.conf",
    "mpm.conf",
    "httpd-mpm.conf",
    "mime.types",
    "httpd-default.conf",
    "*.load",
    "ports.conf",
)
_TRANSPARENT = ("ifmodule", "ifversion", "ifdefine")
_NOT_FOLLOWED = ("proxypassmatch", "proxyremote", "rewriterule", "if", "locationmatch", "macro", "use", "sethandler")
_UPSTREAM = re.compile(r"(https?)://([A-Za-z0-9._-]+)(?::(\d{1,5}))?(?:/.*)?")


class _Scope(NamedTuple):
    """One virtual host (or the main server) as seen from the query's path."""

    passes: dict[str, str]
    preserve: bool
    header: str
    version: str


def recognise(container: Container) -> bool:
    return program.last(container.image) in NAMES


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        directives, place = _configuration(seen)
        found = {_followed(seen, scope, place) for scope in _scopes(directives, seen, place)}
    except FileError as error:
        return blank._replace(problem=str(error))
    if len(found) != 1:
        return blank._replace(
            problem=f"{len(found)} virtual hosts on port {seen.arrival.port} differ, and ServerName decides between "
            "them"
        )
    return found.pop()


def _followed(seen: Seen, scope: _Scope, place: str) -> Relay:
    """Raises FileError for what is not understood."""
    matching = [path for path in scope.passes if seen.arrival.path.startswith(path)]
    target = scope.passes[max(matching, key=len)] if matching else "!"
    found = _UPSTREAM.fullmatch(target)
    if found is None:
        raise FileError(f"{place} has no ProxyPass to a URL for {seen.arrival.path} (found: {target})")
    port = f":{found[3]}" if found[3] else ""
    host = scope.header or PRESERVE if scope.preserve else UPSTREAM
    if "%" in host or "$" in host:
        raise FileError(f"{place} sets Host to {host!r}, which is not followed")
    how = f"write `ProxyPreserveHost Off` in {place} and reload httpd, so that it sends the name in its ProxyPass"
    if scope.version == HTTP_1_0:
        how = f"remove `force-proxy-request-1.0` from {place}" + ("" if host == UPSTREAM else f", {how}")
    url = f"{found[1]}://{found[2]}{port}"
    return Relay(KIND, seen.container.name, upstream=url, host=host, http_version=scope.version, how=how)


def _scopes(directives: tuple[Directive, ...], seen: Seen, place: str) -> Iterator[_Scope]:
    main = list(_flat(directives))
    hosts = [
        entry
        for entry in main
        if entry.name == "virtualhost" and seen.arrival.port in {program.listening_port(one) for one in entry.args}
    ]
    everywhere = [entry for entry in main if entry.name != "virtualhost"]
    outside = _scope(everywhere, _Scope({}, False, "", HTTP_1_1), seen.arrival.path, place)
    for host in hosts:
        yield _scope(list(_flat(host.block or ())), outside, seen.arrival.path, place)
    if not hosts:
        listens = {
            program.listening_port(entry.args[0]) for entry in everywhere if entry.name == "listen" and entry.args
        }
        if seen.arrival.port not in listens:
            raise FileError(f"{place} has no virtual host on port {seen.arrival.port}, and does not listen there")
        yield outside


def _flat(directives: tuple[Directive, ...]) -> Iterator[Directive]:
    """Directives as if the sections that only ask for a module were not there."""
    for entry in directives:
        if entry.name in _TRANSPARENT and not any(arg.startswith("!") for arg in entry.args):
            yield from _flat(entry.block or ())
        elif entry.name not in _TRANSPARENT:
            yield entry


def _scope(directives: list[Directive], outer: _Scope, path: str, place: str) -> _Scope:
    passes, preserve, header, version = dict(outer.passes), outer.preserve, outer.header, outer.version
    for entry in directives:
        words = tuple(word.lower() for word in entry.args)
        if entry.name in _NOT_FOLLOWED and _decides(entry):
            raise FileError(f"{place} uses {entry.name}, which is not followed")
        if entry.name == "proxypass" and len(entry.args) > 1:
            # The first that matches wins.
            passes.setdefault(entry.args[0], entry.args[1])
        elif entry.name == "proxypreservehost" and words:
            preserve = words[0] == "on"
        elif entry.name == "requestheader" and words[1:2] == ("host",):
            if words[0] != "set" or len(words) != 3:
                raise FileError(f"{place} has RequestHeader {' '.join(entry.args)}, which is not followed")
            header = entry.args[2]
        elif entry.name in ("setenv", "setenvif") and "force-proxy-request-1.0" in " ".join(words):
            version = HTTP_1_0
        elif entry.name == "location" and entry.args and path.startswith(entry.args[-1]):
            inner = [
                one._replace(args=(entry.args[-1], *one.args)) if one.name == "proxypass" else one
                for one in _flat(entry.block or ())
            ]
            within = _scope(inner, _Scope(passes, preserve, header, version), path, place)
            passes, preserve, header, version = within
    return _Scope(passes, preserve, header, version)


def _decides(entry: Directive) -> bool:
    if entry.name == "rewriterule":
        return any("P" in flag.split(",") for flag in (word.strip("[]") for word in entry.args[2:]))
    return entry.name != "sethandler" or any(word.startswith("proxy:") for word in entry.args)


def _configuration(seen: Seen) -> tuple[tuple[Directive, ...], str]:
    """All directives with includes followed, and a name for where they stand. Raises FileError."""
    given = program.flag(seen.container, "f")
    folders = {posixpath.dirname(path) for path in (*_MAIN, *_INCLUDED, *([given] if given else []))}
    found = {file.path: file for file in files.below(seen, sorted(folders))}
    main = given or next((path for path in _MAIN if path in found), "")
    chosen = [found[main]] if main in found else [found[path] for path in found if _included(path)] if not given else []
    if not chosen:
        raise files.unmounted()
    directives: list[Directive] = []
    for file in chosen:
        directives += _expanded(file, found, seen, 0)
    return tuple(directives), chosen[0].place


def _included(path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in _INCLUDED)


def _expanded(file: File, found: dict[str, File], seen: Seen, depth: int) -> list[Directive]:
    if depth > 8:
        raise FileError(f"{file.place} includes itself")
    try:
        directives = apache_syntax.parse(file.content, seen.container.env)
    except SyntaxProblemError as error:
        raise FileError(f"{file.place}: {error}") from error
    return _followed_includes(directives, file, found, seen, depth)


def _followed_includes(
    directives: tuple[Directive, ...], file: File, found: dict[str, File], seen: Seen, depth: int
) -> list[Directive]:
    result: list[Directive] = []
    root = file.path.partition("/conf/")[0]
    for entry in directives:
        if entry.block is not None:
            inner = _followed_includes(entry.block, file, found, seen, depth)
            result.append(entry._replace(block=tuple(inner)))
        elif entry.name not in ("include", "includeoptional") or not entry.args:
            result.append(entry)
        elif not any(fnmatch.fnmatchcase(posixpath.basename(entry.args[0]), known) for known in _HARMLESS):
            pattern = posixpath.join(root, entry.args[0])
            matching = [path for path in sorted(found) if fnmatch.fnmatchcase(path, pattern)]
            if not matching:
                raise FileError(f"{file.place} includes {entry.args[0]}, which is in no ConfigMap that is mounted")
            for path in matching:
                result += _expanded(found[path], found, seen, depth + 1)
    return result
