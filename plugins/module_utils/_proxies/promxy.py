# SPDX-License-Identifier: GPL-3.0-or-later
"""promxy: evaluates PromQL itself and asks the servers behind it, each under its own name.

Source: jacksontj/promxy (a Prometheus API client per target of a server group).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "promxy"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "bind-addr")


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host=UPSTREAM)
    path = program.flag(seen.container, "config")
    if not path:
        return blank._replace(problem="its arguments have no --config")
    try:
        file = files.document(seen, path)
    except FileError as error:
        return blank._replace(problem=str(error))
    settings = objects.mapping(objects.mapping(file.content).get("promxy"))
    groups = [objects.mapping(group) for group in objects.sequence(settings.get("server_groups"))]
    if any(key.endswith("_sd_configs") for group in groups for key in group):
        return blank._replace(problem=f"{file.place} discovers its servers, which may be pod addresses")
    found = {
        f"{objects.text(group.get('scheme')) or 'http'}://{target}"
        for group in groups
        for entry in map(objects.mapping, objects.sequence(group.get("static_configs")))
        for target in map(objects.text, objects.sequence(entry.get("targets")))
    }
    if len(found) != 1:
        return blank._replace(problem=f"{file.place} names {len(found)} servers, and only one can be followed")
    return blank._replace(upstream=found.pop())
