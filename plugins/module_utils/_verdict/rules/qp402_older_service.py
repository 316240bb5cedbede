# SPDX-License-Identifier: GPL-3.0-or-later
"""Another, older Service decides how the server handles the port."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import inbound, protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP402",
    title="older Service that decides the inbound protocol",
    pattern=(
        "Several Services lead to one container port and declare different protocols, e.g. `prometheus` and "
        "`prometheus-operated`."
    ),
    why=(
        "The server's sidecar has one filter chain per container port, and the oldest Service decides its protocol, "
        "and with it whether HTTP fields of AuthorizationPolicies work. Clients follow the Service that they dial."
    ),
    evidence="Both Services, their ports and creation times.",
    fix="Declare the same protocol on both.",
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/listener_inbound.go:418-425, "
        "pilot/pkg/model/context.go:620-633."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        service, port = inbound.deciding(hop.step)
        handled = protocol.of_port(port)
        if service == hop.step.service or handled.kind == hop.protocol.kind:
            continue
        summary = (
            f"{hop.step.server.name}'s sidecar handles the port as {handled.kind}, as the older Service {service.name} "
            f"says, while clients of {hop.step.service.name} take it for {hop.protocol.kind}."
        )
        evidence = (f"{service.name}: {handled.why}", f"{hop.step.service.name}: {hop.protocol.why}")
        yield Finding(RULE.code, NOTICE, hop_name(hop), summary, evidence, index)
