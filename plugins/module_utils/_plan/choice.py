# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the remedies is to be carried out, by what the user asked for and consented to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import fingerprint
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.at_owner import AtOwner
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Remedy

AUTO = "auto"
SERVICE_PROTOCOL = "service_protocol"


class Wish(NamedTuple):
    """strategy  AUTO or the name of one
    protocol  of SERVICE_PROTOCOL only
    accepted  tokens of effects that are consented to
    approved  hash of the plan that was looked at; "" = any
    force_live  also what an owner of the changed object may take back
    """

    strategy: str
    protocol: str
    accepted: Collection[str] = ()
    approved: str = ""
    force_live: bool = False


class RefusedError(Exception):
    """No remedy may be carried out; the message says why and what to do.

    remedy, missing: the one that lacks consent, and the tokens that it lacks. at_owner: what to do in their place.
    """

    def __init__(
        self, message: str, remedy: Remedy | None = None, missing: Sequence[str] = (), at_owner: Sequence[AtOwner] = ()
    ) -> None:
        super().__init__(message)
        self.remedy, self.missing, self.at_owner = remedy, tuple(missing), tuple(at_owner)


def choose(remedies: Sequence[Remedy], wish: Wish, summary: str) -> Remedy:
    """The first remedy that fits the wish. remedies: least harmful first; summary: the diagnosis in one sentence.

    Raises RefusedError.
    """
    candidates = [remedy for remedy in remedies if _asked_for(remedy, wish)]
    applicable = [remedy for remedy in candidates if (remedy.forceable if wish.force_live else remedy.applicable)]
    if not applicable:
        reasons = " ".join(dict.fromkeys(f"{name(remedy)}: {remedy.reason}" for remedy in candidates))
        at_owner = [entry for remedy in candidates for entry in remedy.at_owner]
        what = "No fix applies" if wish.strategy == AUTO else f"{wish.strategy} does not apply"
        raise RefusedError(f"{what}, nothing was changed. {reasons} The diagnosis: {summary}", at_owner=at_owner)
    if wish.approved:
        same = [remedy for remedy in applicable if remedy.hash == wish.approved]
        if not same:
            raise _drifted(applicable, wish.approved)
        applicable = same
    for remedy in applicable:
        if set(remedy.consent_needed) <= set(wish.accepted):
            return remedy
    raise _without_consent(applicable[0], wish)


def name(remedy: Remedy) -> str:
    """`service_protocol (tcp)`, `host_rewrite`."""
    return f"{remedy.strategy} ({remedy.protocol})" if remedy.protocol else remedy.strategy


def _drifted(remedies: Sequence[Remedy], approved: str) -> RefusedError:
    now = ", ".join(f"{name(remedy)} {remedy.hash}" for remedy in remedies)
    found = [f"{name(remedy)}: {drift}. " for remedy in remedies if (drift := fingerprint.drift(remedy, approved))]
    what = "".join(found) or "It was for another path or another fix, or that fix does not apply any more. "
    return RefusedError(
        f"The plan is no longer the approved one ({approved}; now {now}), so nothing was changed. {what}"
        "Look at the diagnosis again and approve its hash."
    )


def _asked_for(remedy: Remedy, wish: Wish) -> bool:
    if wish.strategy == AUTO:
        return True
    return remedy.strategy == wish.strategy and (wish.strategy != SERVICE_PROTOCOL or remedy.protocol == wish.protocol)


def _without_consent(remedy: Remedy, wish: Wish) -> RefusedError:
    missing = [token for token in remedy.consent_needed if token not in wish.accepted]
    texts = " ".join(effect.text for effect in remedy.effects if effect.token in missing)
    return RefusedError(
        f"{name(remedy)} needs consent, nothing was changed. {texts} To accept this, set accept_effects: {missing}.",
        remedy,
        missing,
    )
