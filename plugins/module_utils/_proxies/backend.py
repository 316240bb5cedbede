# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that answer PromQL themselves: the end of a query path.

Thanos' querier is one: it asks stores over gRPC for series, and evaluates the query itself.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

# Last part of the image's repository.
NAMES = ("prometheus", "victoria-metrics", "vmselect", "vmsingle", "mimir", "cortex")
# Of these only what is started with this word: the others take no queries over HTTP.
_THANOS = ("query", "query-frontend")


def recognise(container: Container) -> bool:
    if program.last(container.image) == "thanos":
        return any(word in _THANOS for word in (*container.command, *container.args))
    return program.last(container.image) in NAMES


def listens(container: Container, port: int) -> bool:
    return program.listens(
        container, port, "web.listen-address", "http-address", "httpListenAddr", "server.http-listen-port"
    )


def relay(seen: Seen) -> Relay:
    return Relay(kind=program.last(seen.container.image), container=seen.container.name)
