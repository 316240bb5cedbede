# SPDX-License-Identifier: GPL-3.0-or-later
"""k8spin's prometheus-multi-tenant-proxy: maps users to namespaces and sends the upstream's own host.

Source: k8spin/prometheus-multi-tenant-proxy (`req.Host` and X-Forwarded-Host are set to the upstream's).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "prometheus-multi-tenant-proxy"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "port")


def relay(seen: Seen) -> Relay:
    upstream = program.flag(seen.container, "prometheus-endpoint") or program.flag(seen.container, "upstream") or ""
    return Relay(
        KIND,
        seen.container.name,
        upstream=upstream,
        host=UPSTREAM,
        problem="" if upstream else "its arguments have no --prometheus-endpoint",
    )
