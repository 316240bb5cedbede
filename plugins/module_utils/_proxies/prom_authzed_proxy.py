# SPDX-License-Identifier: GPL-3.0-or-later
"""prom-authzed-proxy: asks SpiceDB, enforces a label and keeps the incoming Host.

Source: authzed/prom-authzed-proxy embeds prom-label-proxy's injectproxy v0.4.0, which has no option for the Host.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "prom-authzed-proxy"


def recognise(container: Container) -> bool:
    return program.last(container.image) == KIND


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "proxy-addr")


def relay(seen: Seen) -> Relay:
    upstream = program.flag(seen.container, "proxy-upstream-prometheus-addr") or ""
    return Relay(
        KIND,
        seen.container.name,
        upstream=upstream,
        host=PRESERVE,
        problem="" if upstream else "its arguments have no --proxy-upstream-prometheus-addr",
        how=f"{KIND} has no option for the Host that it sends",
    )
