# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh has auto mTLS switched off, and no DestinationRule asks for mTLS."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP202",
    title="mesh without auto mTLS and without a DestinationRule that asks for it",
    pattern=(
        "`meshConfig.enableAutoMtls: false`, and no DestinationRule sets `tls.mode: ISTIO_MUTUAL` for the upstream."
    ),
    why=(
        "Without auto mTLS a sidecar speaks plaintext to every Service for which no DestinationRule says otherwise. "
        "Every hop of the path is hit, the first one too."
    ),
    evidence=(
        "Client sidecar: cluster `outbound|<port>||<upstream>` with flag UC. Server sidecar: `0 NR "
        "filter_chain_not_found`."
    ),
    fix="A DestinationRule with `mode: ISTIO_MUTUAL` for each upstream (strategy `destination_rule`), or auto mTLS.",
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/cluster_traffic_policy.go:63-66. Measured: "
        "docs/truth-table.md rows 11, 11c."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.transport.cause == "auto_mtls":
            summary = f"{hop.step.client.name} speaks plaintext to {hop.step.service.name}: {hop.transport.why}."
            yield finding(RULE, case, index, status, summary)
