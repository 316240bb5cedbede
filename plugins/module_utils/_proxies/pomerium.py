# SPDX-License-Identifier: GPL-3.0-or-later
"""Pomerium: logs a person in and sends the upstream's own host.

Source: pomerium/pomerium config (AutoHostRewrite unless `preserve_host_header`; `host_rewrite` is a literal), which
also appends X-Forwarded-Host.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "pomerium"
DEFAULT_FILE = "/pomerium/config.yaml"
_NOT_FOLLOWED = ("host_rewrite_header", "host_path_regex_rewrite_pattern")


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        file = files.document(seen, program.flag(seen.container, "config") or DEFAULT_FILE)
    except FileError as error:
        return blank._replace(problem=str(error))
    settings = objects.mapping(file.content)
    routes = [objects.mapping(r) for r in objects.sequence(settings.get("routes") or settings.get("policy"))]
    found = set()
    for route in routes:
        unread = next((key for key in _NOT_FOLLOWED if route.get(key)), "")
        if unread:
            return blank._replace(problem=f"{file.place} uses {unread}, which is not followed")
        destinations = route.get("to")
        host = PRESERVE if route.get("preserve_host_header") is True else objects.text(route.get("host_rewrite"))
        for url in destinations if isinstance(destinations, list) else [destinations]:
            found.add((objects.text(url), host or UPSTREAM))
    if len(found) != 1:
        return blank._replace(problem=f"{file.place} routes to {len(found)} places, and only one can be followed")
    upstream, host = found.pop()
    how = f"remove preserve_host_header from {file.place}, or set `host_rewrite: {{host}}` there"
    return blank._replace(upstream=upstream, host=host, how=how)
