# SPDX-License-Identifier: GPL-3.0-or-later
"""multena-proxy: maps a token's groups to tenants and keeps the incoming Host.

Source: gepaplexx/multena-proxy routes.go:208 @5774dbe, v0.6.8. Its `headers:` cannot set Host, for Go takes the Host
from elsewhere.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "multena-proxy"
# Its file is looked for in these folders, under this name.
_FOLDERS = ("/etc/config/config", "/etc/config", "/configs", "/app", "/")
_FILE = "config.yaml"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host=PRESERVE, how=f"{KIND} has no option for the Host that it sends")
    folders = {mount.path for mount in seen.container.mounts if mount.sub_path in ("", _FILE)}
    for folder in (*_FOLDERS, *sorted(folders - set(_FOLDERS))):
        path = folder if folder.endswith(_FILE) else f"{folder.rstrip('/')}/{_FILE}"
        try:
            file = files.document(seen, path)
        except FileError as error:
            blank = blank._replace(problem=str(error))
            continue
        upstream = objects.text(objects.mapping(objects.mapping(file.content).get("thanos")).get("url"))
        return blank._replace(upstream=upstream, problem="" if upstream else f"{file.place} has no thanos.url")
    return blank
