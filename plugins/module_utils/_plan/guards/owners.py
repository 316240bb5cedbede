# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a change that its object's owner takes back unannounced."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect


def check(before: State, _after: State, changes: tuple[Change, ...]) -> Iterator[Objection]:
    patched = {change.target.uid: change.target for change in changes if change.target.uid}
    told: set[str] = set()
    for answer in before.snapshot.answers().values():
        for obj in answer.objects:
            target = patched.get(objects.text(objects.metadata(obj).get("uid")))
            for owner in ownership.owners(obj) if target else ():
                text = f"{target} is managed by {owner}, which may take the change back; make it there to keep it."
                if text not in told:
                    told.add(text)
                    yield Objection(effect=Effect("may_be_reverted", str(target), text))
