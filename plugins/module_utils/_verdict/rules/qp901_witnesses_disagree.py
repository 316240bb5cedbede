# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration, Envoy and access logs tell different stories about a hop."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import witnesses
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import (
    Case,
    envoy_evidence,
    hop_name,
    log_evidence,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import UNKNOWN, Finding, Rule

RULE = Rule(
    code="QP901",
    title="contradiction between configuration, Envoy and access logs",
    pattern=(
        "The route, client TLS or server mode that configuration predicts is not what the sidecar's own `config_dump` "
        "has or what its newest log line shows, or a request fails where none should."
    ),
    why=(
        "The sidecar may not have the configuration yet (istiod gathers changes for up to ten seconds, and a busy or "
        "unreachable one takes longer), an old connection may still be open (a TCP tunnel outlives the change that "
        "forbids it), an EnvoyFilter or an AuthorizationPolicy may change what happens, or the diagnosis may be wrong."
    ),
    evidence="All stories, side by side.",
    fix=(
        "Send a query and ask again. If it stays: `istioctl proxy-status` tells whether the sidecar is up to date; "
        "then compare `istioctl proxy-config routes` on the client, and look for EnvoyFilters and "
        "AuthorizationPolicies."
    ),
    source="docs/truth-table.md, notes 4 to 6 (old connections); istio/istio release-1.31 PILOT_DEBOUNCE_MAX.",
)
LATE_PUSH = "a push that has not reached the sidecar yet would explain it: ask again in ten seconds"


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        differing = witnesses.contradictions(case, index)
        if differing:
            summary = next(iter(differing.values()), "")
            configured = f"configuration: {hop.route.why}; {hop.transport.why}"
            late = (LATE_PUSH,) if "envoy" in differing else ()
            evidence = (configured, *late, *envoy_evidence(case, index), *log_evidence(case, index))
            yield Finding(RULE.code, UNKNOWN, hop_name(hop), summary, evidence, index)
