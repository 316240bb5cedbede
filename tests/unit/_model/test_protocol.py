# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocol selection, row by row as ConvertProtocol decides it."""

from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import ServicePort
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.protocol import of_port


@pytest.mark.parametrize(
    ("name", "app_protocol", "number", "transport", "kind"),
    [
        ("http-web", None, 9090, "TCP", "HTTP"),
        ("HTTP-web", None, 9090, "TCP", "HTTP"),
        ("httpweb", None, 9090, "TCP", "AUTO"),
        ("web", None, 9090, "TCP", "AUTO"),
        ("", None, 9090, "TCP", "AUTO"),
        ("grpc-webfoo", None, 9090, "TCP", "HTTP"),
        ("grpc", None, 9090, "TCP", "HTTP"),
        ("http2-x", None, 9090, "TCP", "HTTP"),
        ("https", None, 9090, "TCP", "TCP"),
        ("tcp-web", None, 9090, "TCP", "TCP"),
        ("mongo", None, 9090, "TCP", "TCP"),
        ("web", None, 3306, "TCP", "TCP"),
        ("http", None, 3306, "TCP", "HTTP"),
        ("http-web", "tcp", 9090, "TCP", "TCP"),
        ("tcp-web", "http", 9090, "TCP", "HTTP"),
        ("http-web", "", 9090, "TCP", "AUTO"),
        ("http-web", "example.com/auto", 9090, "TCP", "AUTO"),
        ("tcp", "kubernetes.io/h2c", 9090, "TCP", "HTTP"),
        ("tcp", "kubernetes.io/ws", 9090, "TCP", "HTTP"),
        ("tcp", "kubernetes.io/wss", 9090, "TCP", "TCP"),
        ("http-web", "tcp-foo", 9090, "TCP", "TCP"),
        ("http", "http", 9090, "UDP", "UDP"),
    ],
)
def test_protocol(name: str, app_protocol: str | None, number: int, transport: str, kind: str) -> None:
    assert of_port(ServicePort(name, number, number, app_protocol, transport)).kind == kind
