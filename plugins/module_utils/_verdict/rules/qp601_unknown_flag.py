# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy is given a flag that its version does not know."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program, prom_label_proxy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import BROKEN, Finding, Rule

RULE = Rule(
    code="QP601",
    title="prom-label-proxy with a flag that its version does not know",
    pattern="A pod of prom-label-proxy older than 0.15.0 has `--rewrite-host-header-to`, and is not ready.",
    why=(
        "The program ends with exit code 2 at every start. A rolling update stalls; without a readiness probe it "
        "takes the old pods away."
    ),
    evidence="`flag provided but not defined: -rewrite-host-header-to` in the container's log; CrashLoopBackOff.",
    fix="Use image 0.15.0 or later, or take the flag away and cure the mesh's side.",
    source="prometheus-community/prom-label-proxy CHANGELOG 0.15.0. Measured: docs/truth-table.md row 7.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        for pod in hop.step.server.pods:
            for container in pod.containers:
                version = program.version(container.image)
                if pod.ready or version is None or not prom_label_proxy.recognise(container):
                    continue
                if version < prom_label_proxy.HOST_FLAG_SINCE and program.flag(container, prom_label_proxy.HOST_FLAG):
                    shown = ".".join(map(str, version))
                    summary = (
                        f"Pod {pod.name} runs prom-label-proxy {shown}, which does not know "
                        f"--{prom_label_proxy.HOST_FLAG} and ends."
                    )
                    yield Finding(RULE.code, BROKEN, hop_name(hop), summary, (f"image {container.image}",), index)
