# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that answer PromQL themselves: the end of a query path."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program

# Last part of the image's repository.
NAMES = ("prometheus", "victoria-metrics", "vmselect", "mimir", "cortex")


def recognise(container: Container) -> bool:
    return program.repository(container.image).rpartition("/")[2] in NAMES


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "web.listen-address", "httpListenAddr", "server.http-listen-port")


def relay(container: Container) -> Relay:
    return Relay(kind=program.repository(container.image).rpartition("/")[2], container=container.name)
