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
    UNKNOWN,
    Finding,
    Rule,
)

RULE = Rule(
    code="QP503",
    title="AuthorizationPolicy that keeps the caller of this path out",
    pattern=(
        "The AuthorizationPolicies that select a server allow others and not the workload that sends the queries, deny "
        "it, or leave the decision to an extension provider that Istio cannot use: one that the mesh does not have, "
        "that does not authorize, whose name is no DNS label, or whose Service does not exist."
    ),
    why=(
        "CUSTOM policies are asked first, then DENY, then ALLOW. As soon as one ALLOW policy selects a workload, whom "
        "none allows is denied. Without mTLS a caller has no identity, so no principal matches it. A CUSTOM policy "
        "whose provider Istio cannot use denies what its rules match."
    ),
    evidence=(
        "On an HTTP port the server answers `403 RBAC: access denied`, on a TCP port it resets the connection; its "
        "sidecar logs `rbac_access_denied_matched_policy`."
    ),
    fix="Add the caller's service account to the policy, as `principals` of a `from.source`.",
    source=(
        "https://istio.io/latest/docs/reference/config/security/authorization-policy/; istio/istio release-1.31 "
        "pilot/pkg/security/authz/builder/builder.go, extauthz.go, pilot/pkg/model/telemetry_logging.go LookupCluster."
    ),
)


_STATUS = {admission.DENIES_CALLER: BROKEN, admission.MAY_DENY: UNKNOWN}


def check(case: Case) -> Iterator[Finding]:
    for index, effect in sorted(case.admissions.items()):
        hop = case.path.hops[index]
        status = _STATUS.get(effect.effect, NOTICE)
        summary = f"{hop.step.server.name} does not let {hop.step.client.name} in: {effect.text}."
        if effect.effect in (admission.UNTOLD, admission.MAY_DENY):
            summary = f"{effect.text}."
        elif effect.effect == admission.DENIES_SOME:
            summary = f"{hop.step.server.name} does not take every query of {hop.step.client.name}: {effect.text}."
        yield Finding(RULE.code, status, hop_name(hop), summary, log_evidence(case, index), index)
