# SPDX-License-Identifier: GPL-3.0-or-later
"""trickster: a cache that asks its origin with the origin's own host.

Source: trickstercache/trickster (`r.Host = ""`; `request_headers: {Host: …}` of a path overrides it).
"""

from __future__ import annotations

import json

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "trickster"
DEFAULT_FILE = "/etc/trickster/trickster.yaml"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "proxy-port")


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host=UPSTREAM)
    origin = program.flag(seen.container, "origin-url")
    if origin:
        return blank._replace(upstream=origin)
    path = program.flag(seen.container, "config") or DEFAULT_FILE
    if not path.endswith((".yaml", ".yml")):
        return blank._replace(host="", problem=f"its file {path} is no YAML (trickster 1 used TOML)")
    try:
        file = files.document(seen, path)
    except FileError as error:
        return blank._replace(host="", problem=str(error))
    if '"host"' in json.dumps(file.content).lower():
        return blank._replace(host="", problem=f"{file.place} sets a Host of its own")
    backends = objects.mapping(objects.mapping(file.content).get("backends"))
    found = {objects.text(objects.mapping(backend).get("origin_url")) for backend in backends.values()} - {""}
    if len(found) != 1:
        return blank._replace(problem=f"{file.place} names {len(found)} origins, and only one can be followed")
    return blank._replace(upstream=found.pop())
