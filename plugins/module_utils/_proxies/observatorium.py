# SPDX-License-Identifier: GPL-3.0-or-later
"""Observatorium's API: checks tenants and keeps the incoming Host.

Source: observatorium/api proxy/proxy.go:44 @e5cc822 (`MiddlewareSetUpstream` sets the URL alone; there is no option).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "observatorium"


def recognise(container: Container) -> bool:
    path = program.repository(container.image)
    return path.endswith("observatorium/api") or program.flag(container, "metrics.read.endpoint") is not None


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "web.listen")


def relay(seen: Seen) -> Relay:
    upstream = program.flag(seen.container, "metrics.read.endpoint") or ""
    return Relay(
        KIND,
        seen.container.name,
        upstream=upstream,
        host=PRESERVE,
        problem="" if upstream else "its arguments have no --metrics.read.endpoint",
        how=f"{KIND} has no option for the Host that it sends",
    )
