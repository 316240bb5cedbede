# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every strategy, tries what it proposes on the snapshot, ranks what works by what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership, predict
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.json_patch import PatchError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    Effect,
    Ill,
    Proposal,
    Remedy,
    Strategy,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.strategies import (
    destination_rule,
    host_rewrite,
    route_alias,
    service_protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    UNKNOWN,
    Finding,
)

# Least harm first: the cause itself, one client's routes, one client's TLS, all clients' protocol, all clients' HTTP.
STRATEGIES: tuple[tuple[str, str, Strategy], ...] = (
    ("host_rewrite", "", host_rewrite.propose),
    ("route_alias", "", route_alias.propose),
    ("destination_rule", "", destination_rule.propose),
    ("service_protocol", "auto", service_protocol.propose_auto),
    ("service_protocol", "tcp", service_protocol.propose_tcp),
)
# A policy that changes its meaning is an effect that the user consents to, not a new illness.
_CONSENTED = "QP501"

# The findings of a snapshot once a plan is laid over it.
Findings = Callable[[Snapshot], tuple[Finding, ...]]


def remedies(ill: Ill, path_id: str, findings_of: Findings) -> tuple[Remedy, ...]:
    """All strategies with their verdicts, those that apply first. Raises NotReadError."""
    found = [_remedy(ill, path_id, findings_of, name, protocol, strategy) for name, protocol, strategy in STRATEGIES]
    # sorted() is stable: the order by harm holds within both groups.
    return tuple(sorted(found, key=lambda remedy: (not remedy.applicable, bool(remedy.consent_needed))))


def _remedy(ill: Ill, path_id: str, findings_of: Findings, name: str, protocol: str, strategy: Strategy) -> Remedy:
    proposal = strategy(ill)
    refusal = proposal.refusal or _does_not_cure(ill, proposal, findings_of)
    if refusal:
        return Remedy(name, protocol, False, refusal, (), (), "")
    effects = (*proposal.effects, *_reverts(ill, proposal))
    reason = f"{'; '.join(change.why for change in proposal.changes)}."
    return Remedy(
        name,
        protocol,
        True,
        reason,
        effects,
        proposal.changes,
        plan_hash(path_id, name, protocol, proposal.changes),
    )


def _does_not_cure(ill: Ill, proposal: Proposal, findings_of: Findings) -> str:
    """Why the plan is not accepted, judged on the snapshot as it will be; "" where it is."""
    try:
        after = findings_of(predict.after(ill.snapshot, proposal.changes))
    except PatchError as error:
        return f"The plan does not fit what was read: {error}."
    known = {(finding.code, finding.hop) for finding in ill.findings}
    left = [
        finding for finding in after if finding.status in (BROKEN, AT_RISK) and (finding.code, finding.hop) in known
    ]
    new = [finding for finding in after if finding.status in (BROKEN, AT_RISK, UNKNOWN) and finding not in left]
    new = [finding for finding in new if finding.code != _CONSENTED]
    if left:
        return f"It would leave {left[0].code} on {left[0].where}: {left[0].summary}"
    if new:
        return f"It would bring {new[0].code} on {new[0].where}: {new[0].summary}"
    return ""


def _reverts(ill: Ill, proposal: Proposal) -> list[Effect]:
    """Who may take the change back, read from the objects that it patches."""
    uids = {change.target.uid: change.target for change in proposal.changes if change.target.uid}
    found: dict[str, Effect] = {}
    for answer in ill.snapshot.answers().values():
        for obj in answer.objects:
            target = uids.get(str((obj.get("metadata") or {}).get("uid")))
            if target is not None:
                for owner in ownership.owners(obj):
                    text = f"{target} is managed by {owner}, which may take the change back; make it there to keep it."
                    found[f"{target} {owner}"] = Effect("may_be_reverted", str(target), text)
    return list(found.values())


def plan_hash(path_id: str, strategy: str, protocol: str, changes: tuple[Change, ...]) -> str:
    """A name for exactly this plan on exactly these objects; versions that only count writes play no part."""
    plain = [
        [
            change.action,
            *change.target._replace(resource_version=""),
            list(change.patch),
            change.body,
            list(change.reverse),
        ]
        for change in changes
    ]
    text = json.dumps([path_id, strategy, protocol, plain], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
