# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream is a pod's own address, for which the client's sidecar has no listener."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import BLOCKED, PASSTHROUGH
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP109",
    title="upstream that is a pod's address",
    pattern=(
        "The upstream URL names the IP address of a pod, and no Service in sight declares that port as HTTP. Where one "
        "does, the listener that all HTTP ports share takes the connection and the Host decides: QP101."
    ),
    why=(
        "Listeners stand for the addresses of Services, and for pods of headless Services alone. For any other address "
        "the connection leaves through the catch-all listener in plaintext, and a STRICT server resets it. The address "
        "is another one with every new pod besides."
    ),
    evidence=(
        "Client sidecar: a TCP line, `0 … PassthroughCluster`, without authority and route, to the pod's address. The "
        "proxy answers 502. Server sidecar: `0 NR filter_chain_not_found`."
    ),
    fix=(
        "Name the Service in the upstream URL. No Host and no protocol of the Service's port changes what the address "
        "meets."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/listener.go:380-545. Measured on the lab: client "
        "PassthroughCluster, server NR filter_chain_not_found."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        pod = hop.step.pod
        if (
            pod is not None
            and hop.route.kind in (PASSTHROUGH, BLOCKED)
            and not (hop.route.name or hop.route.default_chain)
        ):
            summary = (
                f"{hop.step.client.name} sends queries to {pod.ip}, the address of pod {pod.name}, for which its "
                "sidecar has no listener."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
