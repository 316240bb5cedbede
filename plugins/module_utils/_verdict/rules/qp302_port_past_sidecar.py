# SPDX-License-Identifier: GPL-3.0-or-later
"""A server port that its sidecar does not see."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import interception, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    Finding,
    Rule,
)

RULE = Rule(
    code="QP302",
    title="server port that is taken out of its sidecar",
    pattern=(
        "The server's pods carry `traffic.sidecar.istio.io/excludeInboundPorts` (or `includeInboundPorts`) so that "
        "the port passes by the sidecar."
    ),
    why=(
        "Nothing checks identity or encrypts on this port any more, whatever PeerAuthentication says. Clients with "
        "a sidecar still speak mTLS to it, for the pod's label says that it can, and fail."
    ),
    evidence="The annotation on the pods; client sidecar: cluster `outbound|<port>||<upstream>` with flag UC or UF.",
    fix="Remove the annotation and restart the pods. Cure the client's Host or TLS instead.",
    source="https://istio.io/latest/docs/reference/config/annotations/.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        for pod in hop.step.server.pods:
            annotation = interception.skips_inbound(pod, objects.target_port(hop.step.port, pod))
            if annotation and pod.mesh == "sidecar":
                fails = outcome.of_hop(hop).kind == outcome.FAILS
                summary = (
                    f"{hop.step.server.name}'s port {hop.step.port.number} passes by its sidecar ({annotation}): no "
                    "mTLS is checked there."
                )
                evidence = (f"pod {pod.name}: {annotation}", f"result: {outcome.of_hop(hop).text}")
                yield Finding(RULE.code, BROKEN if fails else AT_RISK, hop_name(hop), summary, evidence, index)
                break
