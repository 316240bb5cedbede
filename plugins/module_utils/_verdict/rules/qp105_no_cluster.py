# SPDX-License-Identifier: GPL-3.0-or-later
"""A route leads to a cluster that does not exist."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import NO_CLUSTER
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP105",
    title="VirtualService route to a destination that does not exist",
    pattern="A VirtualService routes this request to a host and port that are no Service port.",
    why="istiod writes the route, but no cluster of that name, and Envoy answers 503 with flag NC.",
    evidence="Client sidecar: `503 NC cluster_not_found`.",
    fix="Correct the destination in the VirtualService.",
    source="istio/istio release-1.31 pilot/pkg/networking/core/route/route.go (GetDestinationCluster).",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.kind == NO_CLUSTER:
            summary = (
                f"{hop.step.client.name}'s requests to {hop.step.service.name} are routed to a cluster that does not "
                "exist."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
