# SPDX-License-Identifier: GPL-3.0-or-later
"""An annotation that is meant to set the protocol, and that Istio does not read."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

ANNOTATION = "networking.istio.io/service-protocol"

RULE = Rule(
    code="QP401",
    title="protocol annotation that Istio does not read",
    pattern=f"A Service on the path has the annotation `{ANNOTATION}`.",
    why=(
        "Istio takes a port's protocol from `appProtocol`, else from the port's name, and from nothing else. This "
        "annotation has never been read by any release; it changes nothing."
    ),
    evidence="`istioctl analyze` warns: IST0108 (unknown annotation).",
    fix="Declare the protocol with `appProtocol` (strategy `service_protocol`), then remove the annotation.",
    source=(
        "istio/istio release-1.31 pkg/config/kube/conversion.go:48-94 (the only function that chooses a protocol); "
        "no hit for the annotation in releases 1.5 to 1.31 nor in istio/api. Measured: docs/truth-table.md row 1."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        value = hop.step.service.annotations.get(ANNOTATION)
        if value is not None:
            where = f"Service {hop.step.service.namespace}/{hop.step.service.name}"
            summary = (
                f"{where} carries {ANNOTATION}: {value}, which Istio does not read; the port is still "
                f"{hop.protocol.kind} ({hop.protocol.why})."
            )
            yield Finding(RULE.code, NOTICE, hop_name(hop), summary, ("istioctl analyze reports it as IST0108",), index)
