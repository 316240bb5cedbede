# SPDX-License-Identifier: GPL-3.0-or-later
"""The data source sends a Host of its own."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import AT_RISK, Finding, Rule

RULE = Rule(
    code="QP108",
    title="data source with a custom Host header",
    pattern="The data source has a custom HTTP header named `Host` (`jsonData.httpHeaderName1: Host`).",
    why=(
        "Grafana sends this Host in place of the URL's. Its own sidecar routes by it: where it names Prometheus and "
        "the port numbers are the same, queries go straight to Prometheus, past the label proxy and with every "
        "tenant's series."
    ),
    evidence="The data source's settings; Grafana's sidecar logs an authority that is not the URL's.",
    fix="Remove the header from the data source. Never use it to cure a Host mismatch.",
    source="grafana/grafana-plugin-sdk-go#848 (the header is applied since 2024-01); routing by Host as in QP101.",
)


def check(case: Case) -> Iterator[Finding]:
    if any(header.lower() == "host" for header in case.path.datasource.headers):
        source = case.path.datasource
        summary = (
            f"Data source {source.uid or source.url} sends a Host of its own, by which Grafana's sidecar may route "
            "past the proxy."
        )
        evidence = (f"custom header Host in {source.source}; its value is secret and was not read",)
        yield Finding(RULE.code, AT_RISK, hop_name(case.path.hops[0]), summary, evidence, 0)
