# SPDX-License-Identifier: GPL-3.0-or-later
"""louketo-proxy and keycloak-gatekeeper: log a person in and send the upstream's own host.

Source: louketo/louketo-proxy forwarding.go:70 (`PreserveHost: false`), doc.go (`--preserve-host`; `headers: {Host:
…}` in its file wins). Out of maintenance since 2020.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "louketo-proxy"
NAMES = (KIND, "keycloak-gatekeeper", "keycloak-proxy", "gatekeeper")


def recognise(container: Container) -> bool:
    return program.last(container.image) in NAMES and "gatekeeper/gatekeeper" not in container.image


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "listen", "listen-http")


def relay(seen: Seen) -> Relay:
    container = seen.container
    upstream, host = program.flag(container, "upstream-url") or "", _host(container)
    place = "the arguments"
    path = program.flag(container, "config")
    if path:
        try:
            file = files.document(seen, path)
        except FileError as error:
            return Relay(KIND, container.name, upstream=upstream, host="", problem=str(error))
        settings, place = objects.mapping(file.content), file.place
        upstream = upstream or objects.text(settings.get("upstream-url"))
        host = host or (PRESERVE if settings.get("preserve-host") is True else UPSTREAM)
        headers = {key.lower(): value for key, value in objects.mapping(settings.get("headers")).items()}
        host = objects.text(headers.get("host")) or host
    return Relay(
        KIND,
        container.name,
        upstream=upstream,
        host=host or UPSTREAM,
        problem="" if upstream else "neither its arguments nor its file have an upstream-url",
        how=f"set preserve-host to false in {place}, so that it sends its upstream's own name",
    )


def _host(container: Container) -> str:
    for header in program.flags(container, "headers"):
        name, _equals, value = header.partition("=")
        if name.lower() == "host":
            return value
    keeps = program.switch(container, "preserve-host")
    return "" if keeps is None else PRESERVE if keeps == "true" else UPSTREAM
