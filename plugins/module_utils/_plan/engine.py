# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks every strategy, has the guards judge what it proposes on the predicted state, ranks what works by its harm."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import fingerprint, predict
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
    ("destination_rule", "", destination_rule.propose),
    ("service_protocol", "auto", service_protocol.propose_auto),
    ("service_protocol", "tcp", service_protocol.propose_tcp),
)
# The state that a snapshot shows, from configuration alone.
StateOf = Callable[[Snapshot], State]


def remedies(ill: Ill, path_id: str, state_of: StateOf) -> tuple[Remedy, ...]:
    """All strategies with their verdicts, those that apply first. Raises NotReadError."""
    found = [_remedy(ill, path_id, state_of, name, protocol, strategy) for name, protocol, strategy in STRATEGIES]
    # sorted() is stable: the order by harm holds within both groups.
    return tuple(sorted(found, key=lambda remedy: (not remedy.applicable, bool(remedy.consent_needed))))


def _remedy(ill: Ill, path_id: str, state_of: StateOf, name: str, protocol: str, strategy: Strategy) -> Remedy:
    proposal = strategy(ill)
    refusal, effects = (proposal.refusal, ()) if proposal.refusal else _guarded(ill, proposal, state_of)
    if refusal:
        return Remedy(name, protocol, False, refusal, (), (), "")
    all_effects = (*proposal.effects, *effects)
    return Remedy(
        strategy=name,
        protocol=protocol,
        applicable=True,
        reason=f"{'; '.join(change.why for change in proposal.changes)}.",
        effects=all_effects,
        changes=proposal.changes,
        hash=fingerprint.plan_hash(path_id, name, protocol, proposal.changes, all_effects),
    )


def _guarded(ill: Ill, proposal: Proposal, state_of: StateOf) -> tuple[str, tuple[Effect, ...]]:
    """Why the plan is refused, "" where it is not; and what else it does, judged on the snapshot as it will be."""
    try:
        after = state_of(predict.after(ill.snapshot, proposal.changes))
    except PatchError as error:
        return f"The plan does not fit what was read: {error}.", ()
    before = state_of(ill.snapshot)
    effects = []
    for guard in GUARDS:
        for objection in guard(before, after, proposal.changes):
            if objection.refusal:
                return objection.refusal, ()
            if objection.effect is not None:
                effects.append(objection.effect)
    return "", tuple(effects)
