# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a sidecar for its own configuration, and keeps of the answer only what is judged.

Envoy's admin interface listens inside the pod alone; `pilot-agent request` is Istio's own way in
(https://istio.io/latest/docs/ops/diagnostic-tools/proxy-cmd/). `name_regex` lets Envoy leave out what does not matter,
which in a large mesh is nearly all of it (https://www.envoyproxy.io/docs/envoy/latest/operations/admin).
"""

from __future__ import annotations

from urllib.parse import quote

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import saved_dump

TIMEOUT = 15.0


def config_dump(client: Client, need: Need) -> Answer:
    """The reduced configuration of the sidecar that a need names, as one object.

    Raises AuthError and the ApiError of a refused exec.
    """
    where = f"Envoy's configuration in Pod {need.namespace}/{need.name}"
    path = f"config_dump?include_eds&name_regex={quote(need.command[0], safe='')}"
    command = ("pilot-agent", "request", "GET", path)
    try:
        output = streams.execute(client, need.namespace, need.name, need.container, command, TIMEOUT)
    except UnreachableError as error:
        return Answer(problem=f"{where} could not be read: {error.why}")
    if output.code != 0:
        said = output.stderr.strip().rpartition("\n")[2] or output.message or f"exit code {output.code}"
        return Answer(problem=f"{where} could not be read: {said}")
    return saved_dump.reduced(output.stdout, where)
