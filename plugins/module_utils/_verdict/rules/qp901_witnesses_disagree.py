# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration and access logs tell different stories about a hop."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import (
    Case,
    hop_name,
    log_evidence,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import UNKNOWN, Finding, Rule

RULE = Rule(
    code="QP901",
    title="contradiction between configuration and access logs",
    pattern=(
        "The route that configuration predicts is not the one that the sidecar's newest log line shows, or a "
        "request fails where none should."
    ),
    why=(
        "The sidecar may not have the configuration yet, an old connection may still be open (a TCP tunnel outlives "
        "the change that forbids it), an EnvoyFilter or an AuthorizationPolicy may change what happens, or the "
        "diagnosis may be wrong."
    ),
    evidence="Both stories, side by side.",
    fix=(
        "Send a query and ask again. If it stays: `istioctl proxy-config routes` on the client, and look for "
        "EnvoyFilters and AuthorizationPolicies."
    ),
    source="docs/truth-table.md, notes 4 to 6 (old connections).",
)


def check(case: Case) -> Iterator[Finding]:
    for index, testimony in sorted(case.testimonies.items()):
        hop = case.path.hops[index]
        predicted = outcome.of_hop(hop)
        if testimony.client is None or predicted.kind == outcome.UNTOLD:
            continue
        if testimony.route != hop.route.kind:
            summary = f"Configuration says {hop.route.kind} ({hop.route.why}); the newest request took another way."
        elif predicted.kind != outcome.FAILS and testimony.failed:
            summary = f"Configuration says {predicted.text}; yet the newest request failed in the mesh."
        elif predicted.kind == outcome.FAILS and not testimony.failed and hop.route.kind in ("service", "passthrough"):
            summary = f"Configuration says: {predicted.text}; yet the newest request passed."
        else:
            continue
        yield Finding(RULE.code, UNKNOWN, hop_name(hop), summary, log_evidence(case, index), index)
