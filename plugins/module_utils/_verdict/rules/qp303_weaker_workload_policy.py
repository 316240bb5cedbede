# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload or port policy that accepts less than the namespace's."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import peer_authentication
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP303",
    title="PeerAuthentication that opens one workload or port",
    pattern="A workload's PeerAuthentication, or its portLevelMtls, is weaker than what namespace and mesh demand.",
    why=(
        "This workload accepts plaintext from anyone while the namespace looks STRICT. It is the usual way in which "
        "this very failure is hidden in place of being cured."
    ),
    evidence="Both policies. Under it a foreign Host passes in plaintext (QP101, at risk).",
    fix="Cure the client, then remove the workload's policy.",
    source=(
        "istio/istio release-1.31 pilot/pkg/security/authn/policy_applier.go:398-466. Measured: docs/truth-table.md "
        "row 20."
    ),
)

_STRENGTH = {"DISABLE": 0, "PERMISSIVE": 1, "STRICT": 2}


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        level = peer_authentication.of_namespace(case.path.mesh, hop.step.server.namespace)
        if hop.mode is not None and _STRENGTH[hop.mode.mode] < _STRENGTH[level.mode]:
            summary = (
                f"{hop.step.server.name}'s port {hop.step.port.number} is {hop.mode.mode} though its namespace is "
                f"{level.mode}."
            )
            evidence = (f"{hop.mode.source}: {hop.mode.mode}", f"{level.source}: {level.mode}")
            yield Finding(RULE.code, NOTICE, hop_name(hop), summary, evidence, index)
