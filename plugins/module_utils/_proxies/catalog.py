# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy kinds that are known, one module each with recognise(), listens() and relay().

An explicit list: AnsiballZ ships only what is imported by name.
"""

from __future__ import annotations

from typing import Protocol

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container, Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import backend, prom_label_proxy


class Kind(Protocol):
    """What a proxy kind's module offers."""

    def recognise(self, container: Container) -> bool:
        """Whether this container runs the program."""

    def listens(self, container: Container, port: int) -> bool:
        """Whether it listens on this port."""

    def relay(self, container: Container) -> Relay:
        """What it does with a query."""


KINDS: tuple[Kind, ...] = (backend, prom_label_proxy)


def recognise(pod: Pod, port: int) -> Relay | None:
    """What listens on a port of a pod; None where no container is a known program."""
    known = [(container, kind) for container in pod.containers for kind in KINDS if kind.recognise(container)]
    listening = [(container, kind) for container, kind in known if kind.listens(container, port)]
    # Ports need not be declared in a pod: the only container of a pod is the one that listens.
    chosen = listening or (known if len(pod.containers) == 1 else [])
    if not chosen:
        return None
    container, kind = chosen[0]
    return kind.relay(container)
