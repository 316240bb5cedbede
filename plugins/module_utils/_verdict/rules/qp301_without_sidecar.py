# SPDX-License-Identifier: GPL-3.0-or-later
"""One side of a hop has no sidecar, or does not say that it has one."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP301",
    title="hop with a sidecar on one side only",
    pattern=(
        "The client's pods have no istio-proxy container, or the server's pods lack the label "
        "`security.istio.io/tlsMode: istio`."
    ),
    why=(
        "Without a sidecar a client speaks plaintext; without the label clients take the server for one without a "
        "sidecar. A STRICT server resets such connections."
    ),
    evidence=(
        "Server sidecar: `0 NR filter_chain_not_found` from the client's address; no line at the client, or cluster "
        "`outbound|<port>||<upstream>` with flag UC."
    ),
    fix="Inject the sidecar: label the namespace or the pod template, then restart the workload.",
    source="istio/istio release-1.31 pilot/pkg/model/service.go:2075-2082; https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.transport.cause in ("no_sidecar", "server_without_sidecar"):
            summary = f"{hop.step.client.name} speaks plaintext to {hop.step.service.name}: {hop.transport.why}."
            yield finding(RULE, case, index, status, summary)
