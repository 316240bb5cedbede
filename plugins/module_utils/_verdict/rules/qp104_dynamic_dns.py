# SPDX-License-Identifier: GPL-3.0-or-later
"""ALLOW_ANY_DYNAMIC_DNS sends an unknown Host where it resolves."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import DYNAMIC_DNS
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP104",
    title="Host that names no Service on the upstream's port, resolved by ALLOW_ANY_DYNAMIC_DNS",
    pattern="As QP101, in a mesh (1.31 or later) whose outboundTrafficPolicy is ALLOW_ANY_DYNAMIC_DNS.",
    why=(
        "The catch-all sends the request to the address that the Host resolves to: back to the proxy that kept it, "
        "not to the upstream."
    ),
    evidence=(
        "Client sidecar: cluster `AllowAnyDynamicDNSCluster`, route `allow_any_dynamic_dns`. The upstream's "
        "sidecar: no line."
    ),
    fix="The same as for QP101.",
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/httproute.go:789-813, "
        "releasenotes/notes/allow-any-dynamic-dns.yaml."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.kind == DYNAMIC_DNS:
            summary = (
                f"{hop.step.client.name} means {hop.step.service.name}:{hop.step.port.number}, but its sidecar "
                "resolves "
                f"Host {hop.host!r} and sends the request there."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
