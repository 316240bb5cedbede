# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every strategy, has the guards judge what it proposes on the predicted state, ranks what works by its harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Need,
    NotReadError,
    Snapshot,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import fingerprint, predict
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.at_owner import AtOwner
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guards.catalog import GUARDS
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

# Least harm first: the cause itself, one client's routes, one client's TLS, all clients' protocol, all clients' HTTP.
STRATEGIES: tuple[tuple[str, str, Strategy], ...] = (
    ("host_rewrite", "", host_rewrite.propose),
    ("route_alias", "", route_alias.propose),
    (destination_rule.NAME, "", destination_rule.propose),
    ("service_protocol", "auto", service_protocol.propose_auto),
    ("service_protocol", "tcp", service_protocol.propose_tcp),
)
# The state that a snapshot shows, from configuration alone.
StateOf = Callable[[Snapshot], State]


class Judged(NamedTuple):
    """Why a plan is refused, "" where it is not; what else it does; what to do where an owner takes it back; and what
    is judged only when it is carried out.
    """

    refusal: str
    effects: tuple[Effect, ...] = ()
    at_owner: tuple[AtOwner, ...] = ()
    later: tuple[str, ...] = ()


def remedies(ill: Ill, path_id: str, state_of: StateOf) -> tuple[Remedy, ...]:
    """All strategies with their verdicts, those that apply first.

    Raises NotReadError for all that they need to see; for what owns an owner only when nothing else is missing, because
    that decides nothing and comes out of what is left of the requests that a diagnosis may make.
    """
    found: list[Remedy] = []
    missing: list[Need] = []
    for name, protocol, strategy in STRATEGIES:
        try:
            found.append(_remedy(ill, path_id, state_of, name, protocol, strategy))
        except NotReadError as unread:
            missing += unread.needs
    if missing:
        raise NotReadError(dict.fromkeys([need for need in missing if need.verb != "owner"] or missing))
    # sorted() is stable: the order by harm holds within both groups.
    return tuple(sorted(found, key=lambda remedy: (not remedy.applicable, bool(remedy.consent_needed))))


def _remedy(ill: Ill, path_id: str, state_of: StateOf, name: str, protocol: str, strategy: Strategy) -> Remedy:
    proposal = strategy(ill)
    judged = Judged(proposal.refusal) if proposal.refusal else _guarded(ill, proposal, state_of)
    if judged.refusal:
        return Remedy(name, protocol, False, judged.refusal, (), (), "")
    all_effects = (*proposal.effects, *judged.effects)
    return Remedy(
        strategy=name,
        protocol=protocol,
        applicable=not judged.at_owner,
        reason=_reason(proposal.changes, judged),
        effects=all_effects,
        changes=proposal.changes,
        hash=fingerprint.plan_hash(path_id, name, protocol, proposal.changes, all_effects),
        at_owner=judged.at_owner,
    )


def _guarded(ill: Ill, proposal: Proposal, state_of: StateOf) -> Judged:
    """Judged on the snapshot as it will be."""
    try:
        after = state_of(predict.after(ill.snapshot, proposal.changes))
    except PatchError as error:
        return Judged(f"The plan does not fit what was read: {error}.")
    before = state_of(ill.snapshot)
    effects: list[Effect] = []
    at_owner: list[AtOwner] = []
    later: list[str] = []
    for guard in GUARDS:
        for objection in guard(before, after, proposal.changes):
            if objection.refusal:
                return Judged(objection.refusal)
            if objection.effect is not None:
                effects.append(objection.effect)
            if objection.at_owner is not None:
                at_owner.append(objection.at_owner)
            if objection.later:
                later.append(objection.later)
    return Judged("", tuple(effects), tuple(at_owner), tuple(later))


def _reason(changes: tuple[Change, ...], judged: Judged) -> str:
    if judged.at_owner:
        who = "; ".join(f"{entry.object} is managed by {entry.owner}" for entry in judged.at_owner)
        return (
            f"{who}, which may take a change of the live object back: make the change there. force_live: true makes it "
            "anyway, and watches whether it stays."
        )
    done = "; ".join(change.why for change in changes)
    return " ".join((f"{done}.", *judged.later))
