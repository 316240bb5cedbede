# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace policy makes clients expect plaintext where a workload policy wants mTLS."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP203",
    title="PeerAuthentication DISABLE from which clients infer plaintext",
    pattern="The namespace's (or the mesh's) PeerAuthentication is DISABLE, or a port's is.",
    why=(
        "Clients infer from the namespace and mesh policies whether to speak mTLS; a workload's STRICT policy does "
        "not reach them."
    ),
    evidence=(
        "Client sidecar: cluster `outbound|<port>||<upstream>` with flag UC. Server sidecar: `0 NR "
        "filter_chain_not_found`."
    ),
    fix="Take the DISABLE away. Until then a DestinationRule with ISTIO_MUTUAL for the upstream works.",
    source="istio/istio release-1.31 pilot/pkg/model/push_context.go:2569-2609.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.transport.cause == "peer_authentication":
            summary = f"{hop.step.client.name} speaks plaintext to {hop.step.service.name}: {hop.transport.why}."
            yield finding(RULE, case, index, status, summary)
