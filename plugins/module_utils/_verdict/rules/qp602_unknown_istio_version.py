# SPDX-License-Identifier: GPL-3.0-or-later
"""An Istio release outside those whose behaviour was checked."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP602",
    title="Istio release whose behaviour was not checked",
    pattern="A sidecar on the path is older than 1.19 or newer than 1.31, by the tag of its image.",
    why="What is said here about routing and TLS was read in the sources of 1.28 to 1.31 and measured on 1.31.",
    evidence="The image of the istio-proxy container.",
    fix="Trust the access logs and `istioctl proxy-config` more than the prediction.",
    source="The sources that each rule cites; IgnorePortInHostMatching is unconditional since 1.19.",
)

OLDEST, NEWEST = (1, 19), (1, 31)


def check(case: Case) -> Iterator[Finding]:
    workloads = {hop.step.client.name: hop.step.client for hop in case.path.hops}
    for name, workload in workloads.items():
        version = workload.pods[0].sidecar_version
        if version is not None and not OLDEST <= version <= NEWEST:
            summary = f"{name}'s sidecar is Istio {version[0]}.{version[1]}, whose behaviour was not checked."
            yield Finding(RULE.code, NOTICE, name, summary, (f"image {workload.pods[0].sidecar_image}",))
