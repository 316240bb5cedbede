# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP port that its declaration makes UDP."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP404",
    title="TCP port that is declared UDP",
    pattern="A Service port has `protocol: TCP` and a name such as `udp-web`, or `appProtocol: udp`.",
    why=(
        "Istio gives UDP ports no outbound listener, route or cluster, whatever transport Kubernetes has for them. The "
        "connection leaves through PassthroughCluster in plaintext, and a STRICT server resets it."
    ),
    evidence=(
        "Client sidecar: a line with `PassthroughCluster`, though the Host is right. Server sidecar: `0 NR "
        "filter_chain_not_found`."
    ),
    fix="Declare what the port speaks: `appProtocol: http` or `tcp`, which counts in place of the name.",
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/cluster.go:490 and :514, listener.go:985-993, which leave "
        "out ports whose protocol is UDP; measured on the lab."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.unlisted and hop.protocol.kind == protocol.UDP:
            summary = (
                f"Port {hop.step.port.number} of Service {hop.step.service.name} is declared UDP "
                f"({hop.protocol.why}), so {hop.step.client.name}'s sidecar sends plaintext."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
