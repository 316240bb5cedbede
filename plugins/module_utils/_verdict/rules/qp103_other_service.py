# SPDX-License-Identifier: GPL-3.0-or-later
"""The Host names another Service that has the same port."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import OTHER_SERVICE
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding, Rule

RULE = Rule(
    code="QP103",
    title="Host that names another Service with the same port",
    pattern=(
        "The Host that a proxy keeps is a name of a Service which also has the upstream's port number, e.g. the "
        "proxy's own metrics port."
    ),
    why=(
        "The route table of a port is searched by Host; the address that was dialled does not count. The request "
        "goes, with mTLS and often with status 200, to the wrong server: to the proxy itself, in a loop, or to "
        "another Prometheus."
    ),
    evidence=(
        "Client sidecar: cluster `outbound|<port>||<other service>`. No 503, no PassthroughCluster; the body is not "
        "the expected one."
    ),
    fix=(
        "Let the proxy send the upstream's own name as Host (`host_rewrite`), or route that Host for that client "
        "(`route_alias`)."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/httproute.go:341-347, 593-597. Measured: "
        "docs/truth-table.md row 17."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.kind == OTHER_SERVICE:
            summary = (
                f"{hop.step.client.name} means {hop.step.service.name}:{hop.step.port.number}, but Host {hop.host!r} "
                f"takes the request to {hop.route.cluster}."
            )
            yield finding(RULE, case, index, status, summary, (hop.route.why,))
