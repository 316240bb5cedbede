# SPDX-License-Identifier: GPL-3.0-or-later
"""vmauth: routes users to VictoriaMetrics and sends the host of the URL that it routes to.

Source: VictoriaMetrics app/vmauth/main.go and docs "vmauth" (`req.Host = targetURL.Host` unless `keep_original_host`;
`headers: ["Host: …"]` wins). Its file mostly stands in a Secret, which is not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "vmauth"
_KEEP = "keep_original_host"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "httpListenAddr")


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    path = program.flag(seen.container, "auth.config")
    if not path:
        return blank._replace(problem="its arguments have no -auth.config")
    try:
        file = files.document(seen, path)
    except FileError as error:
        return blank._replace(problem=str(error))
    settings = objects.mapping(file.content)
    users = [
        objects.mapping(user) for user in (settings.get("unauthorized_user"), *objects.sequence(settings.get("users")))
    ]
    found = {route for user in users for route in _routes(user)}
    if any(user.get("discover_backend_ips") for user in users):
        return blank._replace(problem=f"{file.place} sets discover_backend_ips: it dials the addresses of pods")
    if len(found) != 1:
        return blank._replace(problem=f"{file.place} routes to {len(found)} places, and only one can be followed")
    upstream, host = found.pop()
    return blank._replace(
        upstream=upstream,
        host=host,
        how=f'remove {_KEEP} from {file.place}, or set `headers: ["Host: {{host}}"]` there',
    )


def _routes(user: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Every URL that a user is routed to, with the Host that is sent there."""
    for entry in (user, *map(objects.mapping, objects.sequence(user.get("url_map")))):
        prefixes = entry.get("url_prefix")
        for url in prefixes if isinstance(prefixes, list) else [prefixes] if prefixes else []:
            # What stands in an entry of url_map takes the place of what stands above it.
            headers = objects.sequence(entry.get("headers")) or objects.sequence(user.get("headers"))
            named = (objects.text(header).partition(":") for header in headers)
            literal = next((value.strip() for name, _colon, value in named if name.strip().lower() == "host"), "")
            keeps = entry.get(_KEEP, user.get(_KEEP))
            yield objects.text(url), literal or (PRESERVE if keeps is True else UPSTREAM)
