# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration that looks like a protocol and is none."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP403",
    title="port name that looks like a protocol and is none",
    pattern="A Service port is called `httpweb`, `tcpweb` or the like, without the dash after the protocol.",
    why=(
        "Istio reads the text before the first dash. Without a dash the whole name is no protocol, and the port is "
        "sniffed."
    ),
    evidence="The port's name; `istioctl analyze` reports IST0118.",
    fix="If a protocol is meant, use `appProtocol` or a name such as `http-web`. If sniffing is meant, nothing.",
    source="istio/istio release-1.31 pkg/config/kube/conversion.go:76-84.",
)

_LOOKS_LIKE = ("http", "grpc", "tcp", "tls", "mongo", "mysql", "redis")


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        port = hop.step.port
        if (
            hop.protocol.kind == protocol.AUTO
            and port.app_protocol is None
            and port.name.lower().startswith(_LOOKS_LIKE)
        ):
            summary = (
                f"Port {port.name!r} of Service {hop.step.service.name} looks like a protocol to people and is none "
                "to Istio."
            )
            yield Finding(RULE.code, NOTICE, hop_name(hop), summary, (hop.protocol.why,), index)
