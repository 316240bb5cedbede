# SPDX-License-Identifier: GPL-3.0-or-later
"""The server behind a label proxy answers everyone in the mesh."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP502",
    title="server behind a label proxy that others can reach past it",
    pattern=(
        "The path has a proxy that enforces a label, and no AuthorizationPolicy with action ALLOW selects the "
        "server behind it."
    ),
    why=(
        "The proxy protects tenants only if it is the only way in. Without a policy every workload in the mesh can "
        "ask the server directly and read every tenant's series."
    ),
    evidence="The list of AuthorizationPolicies that select the server (none with action ALLOW).",
    fix=(
        "An AuthorizationPolicy on the server that allows the proxy's service account (and whoever else must scrape "
        "or query). Use principals, which work on HTTP and TCP ports alike."
    ),
    source=(
        "https://istio.io/latest/docs/reference/config/security/authorization-policy/ (without an ALLOW policy "
        "everything is allowed)."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    if case.open_backend:
        index = len(case.path.hops) - 1
        hop = case.path.hops[index]
        summary = (
            f"Any workload in the mesh can ask {hop.step.server.name} directly, past the label that "
            f"{hop.step.client.name} enforces."
        )
        evidence = (f"no AuthorizationPolicy with action ALLOW selects {hop.step.server}",)
        yield Finding(RULE.code, NOTICE, hop_name(hop), summary, evidence, index)
