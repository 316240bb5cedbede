# SPDX-License-Identifier: GPL-3.0-or-later
"""QP503: policies that keep the caller out."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import admission
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import (
    Case,
    hop_name,
    log_evidence,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    BROKEN,
    NOTICE,
    Finding,
    Rule,
)

RULE = Rule(
    code="QP503",
    title="AuthorizationPolicy that keeps the caller of this path out",
    pattern=(
        "The AuthorizationPolicies that select a server allow others and not the workload that sends the queries, deny "
        "it, or leave the decision to an extension provider that the mesh does not have."
    ),
    why=(
        "CUSTOM policies are asked first, then DENY, then ALLOW. As soon as one ALLOW policy selects a workload, whom "
        "none allows is denied. Without mTLS a caller has no identity, so no principal matches it. A CUSTOM policy "
        "whose provider does not exist denies what its rules match."
    ),
    evidence=(
        "On an HTTP port the server answers `403 RBAC: access denied`, on a TCP port it resets the connection; its "
        "sidecar logs `rbac_access_denied_matched_policy`."
    ),
    fix="Add the caller's service account to the policy, as `principals` of a `from.source`.",
    source=(
        "https://istio.io/latest/docs/reference/config/security/authorization-policy/; istio/istio release-1.31 "
        "pilot/pkg/security/authz/builder/builder.go."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, effect in sorted(case.admissions.items()):
        hop = case.path.hops[index]
        status = BROKEN if effect.effect == admission.DENIES_CALLER else NOTICE
        summary = f"{hop.step.server.name} does not let {hop.step.client.name} in: {effect.text}."
        if effect.effect == admission.UNTOLD:
            summary = f"{effect.text}."
        elif effect.effect == admission.DENIES_SOME:
            summary = f"{hop.step.server.name} does not take every query of {hop.step.client.name}: {effect.text}."
        yield Finding(RULE.code, status, hop_name(hop), summary, log_evidence(case, index), index)
