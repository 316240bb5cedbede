# SPDX-License-Identifier: GPL-3.0-or-later
"""Which protocol Istio gives a Service port, and why.

Source: istio/istio release-1.31 pkg/config/kube/conversion.go:48-94 (ConvertProtocol) and
pkg/config/protocol/instance.go:68-99 (Parse); byte-identical in 1.28 to 1.31.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import ServicePort

HTTP, TCP, UDP, AUTO = "HTTP", "TCP", "UDP", "AUTO"

_HTTP_NAMES = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
_TCP_NAMES = frozenset({"tcp", "https", "tls", "mongo", "redis", "mysql"})
# Kubernetes' own appProtocol values; they count in appProtocol only, never in a port name.
_KUBERNETES_NAMES = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
# Ports on which a server speaks first, so that sniffing would hang: SMTP, DNS, MySQL, MongoDB.
_SERVER_FIRST_PORTS = frozenset({25, 53, 3306, 27017})


class Protocol(NamedTuple):
    """kind: HTTP, TCP, UDP, or AUTO (sniffed by Envoy). why: the declaration that decides, for people."""

    kind: str
    why: str


def of_port(port: ServicePort) -> Protocol:
    """The protocol of a Service port. Annotations play no part."""
    if port.transport == "UDP":
        return Protocol(UDP, "protocol: UDP")
    if port.app_protocol is not None:
        # appProtocol replaces the port's name, also where Istio does not know its value.
        declared, why = _KUBERNETES_NAMES.get(port.app_protocol, port.app_protocol), f"appProtocol: {port.app_protocol}"
    else:
        declared, why = port.name, f"port name {port.name!r}" if port.name else "port without a name"
    kind = _parse(declared)
    if kind is not None:
        return Protocol(kind, why)
    if port.number in _SERVER_FIRST_PORTS:
        return Protocol(TCP, f"{why} declares nothing, and on port {port.number} the server speaks first")
    return Protocol(AUTO, f"{why} declares no protocol that Istio knows")


def is_tls(declared: str, port: ServicePort | None) -> bool:
    """Whether a TCP port is TLS or HTTPS, by a Sidecar's protocol or else the Service's own declaration."""
    own = port.app_protocol if port and port.app_protocol is not None else port.name if port else ""
    word = declared or _KUBERNETES_NAMES.get(own, own)
    return word.lower().split("-", 1)[0] in ("https", "tls")


def _parse(declared: str) -> str | None:
    lowered = declared.lower()
    word = "grpc-web" if lowered.startswith("grpc-web") else lowered.split("-", 1)[0]
    if word in _HTTP_NAMES:
        return HTTP
    if word in _TCP_NAMES:
        return TCP
    return UDP if word == "udp" else None
