# SPDX-License-Identifier: GPL-3.0-or-later
"""A DestinationRule tells the client not to speak Istio's mTLS."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP201",
    title="DestinationRule that keeps the client from speaking mTLS",
    pattern=(
        "The DestinationRule that the client's sidecar uses for the upstream sets `tls.mode` to DISABLE or SIMPLE, "
        "or is `tls: {}`."
    ),
    why=(
        "A DestinationRule's tls is used verbatim and switches auto mTLS off. `tls: {}` means DISABLE, the first "
        "value of the enum. The rule may stand in the client's namespace and shadow a right one next to the "
        "Service."
    ),
    evidence=(
        "Client sidecar: cluster `outbound|<port>||<upstream>` (not PassthroughCluster) with flag UC. Server "
        "sidecar: `0 NR filter_chain_not_found`."
    ),
    fix="`mode: ISTIO_MUTUAL` in that rule (strategy `destination_rule`), or no tls there at all.",
    source="istio/istio release-1.31 pilot/pkg/networking/core/cluster_tls.go:427-430; istio/api "
    "networking/v1alpha3/destination_rule.proto:944-946. Measured: docs/truth-table.md rows 12-disable, 12-empty, "
    "12-ok.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.transport.cause == "destination_rule":
            summary = (
                f"{hop.transport.why} for {hop.step.client.name} -> {hop.step.service.name}, while "
                f"{hop.step.server.name} expects mTLS."
            )
            yield finding(RULE, case, index, status, summary)
