# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy with HTTP-only fields stands on a port that is TCP."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import authorization
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    NOTICE,
    UNKNOWN,
    Finding,
    Rule,
)

RULE = Rule(
    code="QP501",
    title="policy with HTTP-only fields on a TCP port",
    pattern=(
        "An AuthorizationPolicy with paths, methods, hosts, headers or request principals, or a "
        "RequestAuthentication, selects a server whose Service port is declared TCP."
    ),
    why=(
        "On TCP these fields do not exist. ALLOW: the rule is dropped, and if none is left everyone is denied. "
        "DENY: only the field is dropped, so the rule denies more. CUSTOM with an HTTP provider is skipped: "
        "everyone passes; where Istio cannot use the provider it denies instead. JWTs are not checked."
    ),
    evidence=(
        "New connections are reset (502 or 503 at the caller); server sidecar: `rbac_access_denied_matched_policy`. "
        "Open connections go on unchecked until they close, so a test right after the change shows a false green."
    ),
    fix=(
        "Use fields that TCP has (principals, namespaces, ipBlocks, ports), or keep the port HTTP and cure the Host "
        "instead."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/security/authz/model/model.go:355-364, builder/builder.go:284-288, "
        "493-496. Measured: docs/truth-table.md rows 19-tcp-new, 19b-tcp-new."
    ),
)

_STATUS = {
    authorization.DENIES_ALL: BROKEN,
    authorization.DENIES_MORE: AT_RISK,
    authorization.BYPASSED: AT_RISK,
    authorization.UNCHECKED: AT_RISK,
    authorization.UNTOLD: UNKNOWN,
    UNKNOWN: UNKNOWN,
}


def check(case: Case) -> Iterator[Finding]:
    for index, effects in sorted(case.policy_effects.items()):
        hop = case.path.hops[index]
        for effect in effects:
            declared = f"port {hop.step.port.number} is TCP: {hop.protocol.why}"
            yield Finding(
                RULE.code, _STATUS.get(effect.effect, NOTICE), hop_name(hop), f"{effect.text}.", (declared,), index
            )
