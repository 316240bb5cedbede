# SPDX-License-Identifier: GPL-3.0-or-later
"""A Sidecar resource, or its own exportTo, hides the upstream from its client."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP106",
    title="Sidecar resource or exportTo that hides the upstream from its client",
    pattern=(
        "The Sidecar resource that applies to the client does not list the upstream's Service among its egress hosts, "
        "or the Service's annotation `networking.istio.io/exportTo` leaves out the client's namespace."
    ),
    why=(
        "The client's sidecar has neither listener nor cluster for the Service, so the connection leaves through "
        "PassthroughCluster in plaintext, and a STRICT server resets it."
    ),
    evidence=(
        "Client sidecar: a TCP line, `0 … PassthroughCluster`, without authority and route, though the Host is right. "
        "The proxy answers 502. Server sidecar: `0 NR filter_chain_not_found`."
    ),
    fix="Add the Service to `egress.hosts` of that Sidecar resource, or the namespace to the annotation.",
    source="istio/istio release-1.31 pilot/pkg/model/sidecar.go:590-619, push_context.go:IsServiceVisible.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.unlisted and hop.step.pod is None and hop.protocol.kind != protocol.UDP:
            summary = (
                f"{hop.route.source or 'Its exportTo'} hides {hop.step.service.name} from {hop.step.client.name}, "
                "whose sidecar sends plaintext."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
