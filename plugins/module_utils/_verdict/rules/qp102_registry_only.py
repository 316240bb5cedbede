# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's own sidecar blocks an unknown Host."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import BLOCKED
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP102",
    title="Host that names no Service on the upstream's port, blocked by REGISTRY_ONLY",
    pattern="As QP101, in a mesh (or under a Sidecar resource) whose outboundTrafficPolicy is REGISTRY_ONLY.",
    why=(
        "The catch-all virtual host is `block_all` in place of `allow_any`: the client's sidecar answers 502 with "
        "an empty body itself. Nothing reaches the server, so its log shows nothing, under STRICT and PERMISSIVE "
        "alike."
    ),
    evidence=(
        "Client sidecar: `502 - direct_response … block_all` with the foreign Host as authority. Server sidecar: no "
        "line."
    ),
    fix="The same as for QP101. Opening the outbound policy would only turn this into QP101.",
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/httproute.go:855-872. Measured: docs/truth-table.md row 0c."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        by_host = hop.step.pod is None or hop.route.name
        if hop.route.kind == BLOCKED and not hop.route.default_chain and by_host:
            sender = f"{hop.step.client.name} sends Host {hop.host!r} to {hop.step.service.name}:{hop.step.port.number}"
            summary = f"{sender}; its own sidecar knows no such service there and answers 502 (REGISTRY_ONLY)."
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
