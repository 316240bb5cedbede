# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server and location of an nginx configuration take a query.

Source: nginx docs ngx_http_core_module, "location": an exact match, else the longest prefix, unless a regular
expression matches first; `^~` keeps regular expressions out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Arrival
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.nginx_syntax import Directive

# Inside `if`, these change nothing for a request that goes on.
_ENDS = ("return", "add_header", "access_log", "deny", "allow")
_LOCATION = re.compile(r"(=|\^~|~\*|~)?\s*(.*)", re.DOTALL)


class Chain(NamedTuple):
    """blocks: http, server, location and the locations inside it. where: the innermost, for people."""

    blocks: tuple[Directive, ...]
    where: str


def chains(http: Directive, arrival: Arrival) -> Iterator[Chain]:
    """For every server on the port, the blocks that a query meets. Raises FileError for what is not understood."""
    _refuse_includes(http)
    servers = [server for server in http.inner("server") if arrival.port in _ports(server)]
    if not servers:
        raise FileError(f"no server in its http block listens on port {arrival.port}")
    for server in servers:
        blocks = [http, server]
        where = "server"
        while True:
            _refuse(blocks[-1], where, arrival.path)
            inner = _location(blocks[-1], arrival.path)
            if inner is None:
                break
            where = f"location {' '.join(inner.args)}"
            blocks.append(inner)
        yield Chain(tuple(blocks), where)


def _ports(server: Directive) -> set[int]:
    listens = [entry.args[0] for entry in server.inner("listen") if entry.args]
    # Without `listen` a server listens on port 80, and so does an address without a port.
    return {program.listening_port(address) or 80 for address in listens if not address.startswith("unix:")} or (
        set() if listens else {80}
    )


def _location(block: Directive, path: str) -> Directive | None:
    best: Directive | None = None
    length, best_modifier = -1, ""
    patterns = []
    for entry in block.inner("location"):
        found = _LOCATION.fullmatch(" ".join(entry.args))
        modifier, pattern = (found[1] or "", found[2]) if found else ("", "")
        if modifier == "=" and pattern == path:
            return entry
        if modifier in ("~", "~*"):
            patterns.append((modifier, pattern, entry))
        elif (
            modifier in ("", "^~")
            and not pattern.startswith("@")
            and path.startswith(pattern)
            and len(pattern) > length
        ):
            best, length, best_modifier = entry, len(pattern), modifier
    if best_modifier != "^~":
        for modifier, pattern, entry in patterns:
            if _matches(pattern, path, modifier == "~*", entry):
                return entry
    return best


def _matches(pattern: str, path: str, fold: bool, entry: Directive) -> bool:
    """Whether a regular expression matches; only such are tried as cannot take long."""
    quantifiers = len(re.findall(r"[*+{]", pattern))
    if quantifiers > 3 or re.search(r"\)[*+{?]|\(\?|\\\d|\\[pPXRKQ]", pattern) or len(pattern) > 200:
        raise FileError(f"{entry.place} has location {pattern!r}, a regular expression that is not tried here")
    try:
        return re.search(pattern, path, re.IGNORECASE if fold else 0) is not None
    except re.error as error:
        raise FileError(f"{entry.place} has location {pattern!r}, which is not understood") from error


def _refuse(block: Directive, where: str, path: str) -> None:
    """Raises FileError for a directive that may send a request elsewhere."""
    _refuse_includes(block)
    for entry in block.block or ():
        scripted = "_by_lua" in entry.name or entry.name.startswith(("js_", "perl"))
        inner = {one.name for one in entry.block or ()}
        conditional = entry.name == "if" and not inner <= set(_ENDS)
        rewrites = entry.name == "rewrite" and entry.args and entry.args[-1] != "break"
        rewritten = rewrites and _matches(entry.args[0], path, False, entry)
        if scripted or conditional or rewritten or entry.name in ("return", "try_files"):
            raise FileError(f"{where} of {entry.place} uses {entry.name}, which is not followed")


def _refuse_includes(block: Directive) -> None:
    for entry in block.inner("include"):
        raise FileError(f"{entry.place} includes {' '.join(entry.args)}, which is in no ConfigMap that is mounted")
