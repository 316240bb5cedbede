# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy: keeps the incoming Host unless its configuration sets another.

Source: HAProxy configuration manual: "bind", "use_backend", "server", "http-request set-header",
"http-send-name-header". Measured: docs/truth-table.md rows P-ha-def, P-ha-set.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    HTTP_1_1,
    HTTP_2,
    PRESERVE,
    Arrival,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, haproxy_syntax, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import File, FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.haproxy_syntax import (
    Section,
    SyntaxProblemError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "haproxy"
NAMES = ("haproxy", "haproxy-alpine", "haproxy-debian", "haproxy-ubuntu")
FILES = ("/usr/local/etc/haproxy/haproxy.cfg", "/etc/haproxy/haproxy.cfg", "/bitnami/haproxy/conf/haproxy.cfg")
_ANSWERS = ("use-service", "return", "redirect")
# http-request actions that may change the Host or end the request; the rest leaves both alone.
_ACTIONS = ("replace-header", "replace-value", "del-header", "set-dst", "set-dst-port", *_ANSWERS)
# A condition on one path, as health checks have it.
_ON_PATH = re.compile(r"if \{ path(_beg)? (\S+) \}")
_INCOMING = re.compile(r"%\[(?:req\.)?(?:f?hdr|hdr)\(host\)(?:,lower)?\]", re.IGNORECASE)


class _Found(NamedTuple):
    upstream: str
    host: str
    version: str
    place: str
    server: str


def recognise(container: Container) -> bool:
    return program.last(container.image) in NAMES


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        file = _file(seen)
        sections = haproxy_syntax.parse(file.content, file.place, seen.container.env)
        found = _followed(sections, seen.arrival, file.place)
    except FileError as error:
        return blank._replace(problem=str(error))
    except SyntaxProblemError as error:
        return blank._replace(problem=f"{file.place}: {error}")
    named = "" if found.host != found.server else ", without its http-send-name-header,"
    how = f"write `http-request set-header Host {{host}}` in {found.place}{named} and reload HAProxy"
    return blank._replace(upstream=found.upstream, host=found.host, http_version=found.version, how=how)


def _file(seen: Seen) -> File:
    given = program.flag(seen.container, "f")
    if given:
        return files.text(seen, given)
    mounted = {file.path: file for file in files.below(seen, [path.rpartition("/")[0] for path in FILES])}
    for path in FILES:
        if path in mounted:
            return mounted[path]
    raise files.unmounted()


def _followed(sections: list[Section], arrival: Arrival, place: str) -> _Found:
    """Raises FileError for what is not understood."""
    port = arrival.port
    fronts = [one for one in sections if one.kind in ("frontend", "listen") and port in _ports(one)]
    if len(fronts) != 1:
        raise FileError(f"{place} has {len(fronts)} sections that bind port {port}")
    front = fronts[0]
    back = front if front.kind == "listen" and not front.all("default_backend") else _backend(sections, front)
    chain = [_defaults(sections, front), front, *([back] if back is not front else [])]
    mode = next((line[0] for one in reversed(chain) for line in one.all("mode") if line), "tcp")
    if mode != "http":
        raise FileError(f"{front.kind} {front.name} of {place} forwards the port in mode {mode}, which is not followed")
    target = _server(back)
    version = HTTP_2 if "h2" in target else HTTP_1_1
    scheme = "https" if "ssl" in target else "http"
    where = f"{back.kind} {back.name} of {place}"
    return _Found(f"{scheme}://{target[1]}", _host(chain, target[0], arrival.path, place), version, where, target[0])


def _ports(section: Section) -> set[int]:
    addresses = [line[0] for line in section.all("bind") if line]
    return {program.listening_port(one) for address in addresses for one in address.split(",")}


def _backend(sections: list[Section], front: Section) -> Section:
    conditional = front.all("use_backend")
    names = {line[0] for line in (*conditional, *front.all("default_backend")) if line}
    if len(names) != 1:
        raise FileError(
            f"{front.kind} {front.name} of {front.place} chooses between {len(names)} backends (use_backend), and only "
            "one can be followed"
        )
    name = names.pop()
    found = next((one for one in sections if one.kind in ("backend", "listen") and one.name == name), None)
    if found is None:
        raise FileError(f"{front.place} has no backend {name}")
    return found


def _defaults(sections: list[Section], front: Section) -> Section:
    """The `defaults` that stand before a frontend."""
    before = [one for one in sections[: sections.index(front)] if one.kind == "defaults"]
    return before[-1] if before else Section("defaults", "", (), front.place)


def _server(back: Section) -> tuple[str, ...]:
    """Name, address and options of the server."""
    where = f"{back.kind} {back.name} of {back.place}"
    if back.all("server-template"):
        raise FileError(f"{where} uses server-template, which is not followed")
    servers = {line[1]: line for line in back.all("server") if len(line) > 1}
    if len(servers) != 1:
        raise FileError(f"{where} has {len(servers)} servers, and only one can be followed")
    line = next(iter(servers.values()))
    if not re.fullmatch(r"[A-Za-z0-9._-]+:\d{1,5}", line[1]):
        raise FileError(f"{where} has server {line[1]!r}, which is not followed")
    return line


def _host(chain: list[Section], server: str, path: str, place: str) -> str:
    """The Host after all rules, in the order in which they run: frontend, then backend."""
    host = PRESERVE
    for section in chain:
        for line in section.all("http-request"):
            action, name = line[0] if line else "", line[1].lower() if len(line) > 1 else ""
            header = action.endswith(("-header", "-value"))
            if action in _ANSWERS and _elsewhere(line, path):
                continue
            if action.startswith("lua.") or (action in _ACTIONS and (not header or name == "host")):
                raise FileError(
                    f"{section.kind} {section.name} of {place} uses http-request {action}, which is not followed"
                )
            if action in ("set-header", "add-header") and name == "host":
                if action == "add-header" or len(line) != 3:
                    raise FileError(
                        f"{section.kind} {section.name} of {place} sets Host under a condition, which is not followed"
                    )
                host = host if _INCOMING.fullmatch(line[2]) else line[2]
        if any(line[:1] and line[0].lower() == "host" for line in section.all("http-send-name-header")):
            host = server
    if "%[" in host or "$" in host:
        raise FileError(f"{place} sets Host to {host!r}, which is not followed")
    return host


def _elsewhere(line: tuple[str, ...], path: str) -> bool:
    """Whether a rule is bound to a path that is not the query's."""
    found = _ON_PATH.search(" ".join(line))
    return found is not None and not (path.startswith(found[2]) if found[1] else path == found[2])
