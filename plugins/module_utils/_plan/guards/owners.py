# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a fight with an owner that takes a change back: it is made where the owner gets it from, or by force."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import at_owner, restart
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership as ownerships
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect


def check(before: State, _after: State, changes: tuple[Change, ...]) -> Iterator[Objection]:
    """Raises NotReadError."""
    patched = {change.target.uid: change for change in changes if change.target.uid}
    told: set[str] = set()
    for answer in before.snapshot.answers().values():
        for obj in answer.objects:
            change = patched.get(objects.text(objects.metadata(obj).get("uid")))
            if not change or change.target.uid in told:
                continue
            told.add(change.target.uid)
            ownership = ownerships.of(obj, before.snapshot)
            if not ownership.owners:
                continue
            text = (
                f"{change.target} is managed by {ownership}, which may take the change back; make it there to keep it."
            )
            if ownership.unknown:
                text += f" What owns that in turn is not known: {ownership.unknown}."
            # Pods that were replaced stay so, even if the mark that replaced them is taken away.
            fought = None if restart.alone(change) else at_owner.instead_of(change, ownership)
            yield Objection(effect=Effect("may_be_reverted", str(change.target), text), at_owner=fought)
