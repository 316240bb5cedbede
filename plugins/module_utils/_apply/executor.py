# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a plan: everything rehearsed on the server first, then one write after the other, each in the journal.

What goes wrong on the way is taken back in reverse order. Nothing here decides what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import reverter, soak, state
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import (
    REAL_CLOCK,
    Clock,
    no_duty,
    with_duty,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.effects import Effects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.lease import LostError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import record
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    ConflictError,
    InvalidError,
    KubeError,
    may_have_been_done,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import (
    CREATE,
    DELETE,
    Change,
)


class ApplyError(KubeError):
    """The plan was not carried out. undone: what was taken back; left: what was not, and why, as sentences.

    notes: what else went wrong, such as a journal that could not be written to its end. wrote: whether anything of the
    plan was written, or may have been, whoever took it back since. run: the journal's name.
    """

    run = ""

    def __init__(
        self,
        message: str,
        undone: Sequence[str] = (),
        left: Sequence[str] = (),
        notes: Sequence[str] = (),
        wrote: bool = False,
    ) -> None:
        self.undone, self.left, self.notes, self.wrote = tuple(undone), tuple(left), tuple(notes), wrote
        if undone:
            tail = f" Taken back: {', '.join(undone)}."
        else:
            tail = "" if left else " Nothing of the fix stands." if wrote else " Nothing was changed."
        rest = f" Not taken back: {' '.join(left)}" if left else ""
        super().__init__(" ".join([f"{message}{tail}{rest}", *notes]))


def dry_run(client: Client, changes: Sequence[Change]) -> list[Object]:
    """Let the API server try every change, admission included, without storing any. Raises ApplyError.

    Returns the objects as they would be stored.
    """
    results = []
    for change in changes:
        try:
            result = _write(client, change, dry=True)
        except InvalidError as error:
            raise ApplyError(
                f"{change.target} is no longer as it was when the plan was made ({error.message.rstrip('.')}); "
                "diagnose it again."
            ) from error
        except KubeError as error:
            raise ApplyError(str(error)) from error
        if change.action != DELETE and not state.holds_after(result, change):
            raise ApplyError(
                f"An admission webhook alters what is to be written to {change.target}; the plan would not hold."
            )
        results.append(result)
    return results


def execute(
    client: Client,
    journal: Journal,
    timeout: float,
    clock: Clock = REAL_CLOCK,
    keep: Callable[[], None] = no_duty,
    soak_seconds: float = 0,
) -> None:
    """Write the changes of a journal and wait for their effects; on any failure take back what was written.

    timeout: seconds for all effects together. keep: `Lease.keep` of the path. soak_seconds: how long to watch then
    whether the changes stay; one that does not is a failure. Raises ApplyError.
    """
    effects = Effects(client, journal, timeout, with_duty(clock, keep))
    wrote = False
    try:
        for index, entry in enumerate(journal.entries):
            keep()
            journal.mark(index, record.WRITING)
            effects.about_to_write(index)
            try:
                written = _write_surely(client, entry.change)
            except ApiError as error:
                if error.status < 500:
                    # Refused for certain: there is nothing of this change to take back.
                    journal.mark(index, record.PENDING)
                raise
            wrote = True
            journal.mark(index, record.APPLIED, objects.text(objects.metadata(written).get("uid")))
            effects.wait_for(index)
        soak.watch(client, journal, soak_seconds, with_duty(clock, keep))
        journal.finish(record.APPLIED)
    except LostError as error:
        # Whoever holds the path now may be at work on it: it is left as it is, and the journal stays open.
        left = [f"{entry.change.target}." for entry in journal.entries if entry.state == record.APPLIED]
        raise ApplyError(str(error), left=left, wrote=wrote) from error
    except KubeError as error:
        undone = reverter.revert(client, journal, timeout, clock, keep, note=str(error))
        wrote = wrote or bool(undone.written or undone.left)
        raise ApplyError(str(error), undone.restored, undone.left, undone.notes, wrote) from error


def _write(client: Client, change: Change, dry: bool = False) -> Object:
    target = change.target
    if change.action == CREATE:
        return client.create(target.kind, change.body, dry)
    if change.action == DELETE:
        client.delete(target.kind, target.namespace, target.name, target.uid, dry, target.api_version)
        return {}
    return client.patch(target.kind, target.namespace, target.name, list(change.patch), dry, target.api_version)


def _write_surely(client: Client, change: Change) -> Object:
    """Write, and where it is unclear whether it was done look at the object before the one further try."""
    try:
        return _write(client, change)
    except KubeError as error:
        # A conflict: someone wrote to the object at the same moment. The patch tests what it replaces.
        conflict = isinstance(error, ConflictError) and change.action != CREATE
        if not conflict and not may_have_been_done(error):
            raise
    found = exists(client, change.target.kind, change.target.namespace, change.target.name)
    if found is not None and change.action != DELETE and state.holds_after(found, change):
        return found
    if found is None and change.action == DELETE:
        return {}
    return _write(client, change)
