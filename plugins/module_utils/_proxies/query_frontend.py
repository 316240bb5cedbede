# SPDX-License-Identifier: GPL-3.0-or-later
"""Query frontends of Thanos, Mimir and Cortex with a downstream URL: they send their own requests with its host.

Sources: thanos-io/thanos internal/cortex/frontend/downstream_roundtripper.go (`r.Host = ""`); the same file in Cortex
and Mimir. Without a downstream URL queriers fetch the queries from them, which is no HTTP hop.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "query frontend"
_DOWNSTREAM = ("query-frontend.downstream-url", "frontend.downstream-url")


def recognise(container: Container) -> bool:
    return bool(_downstream(container))


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "http-address", "server.http-listen-port")


def relay(seen: Seen) -> Relay:
    return Relay(KIND, seen.container.name, upstream=_downstream(seen.container), host=UPSTREAM)


def _downstream(container: Container) -> str:
    return next((url for name in _DOWNSTREAM if (url := program.flag(container, name))), "")
