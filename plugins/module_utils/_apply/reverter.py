# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes back what a journal records, last change first, and proves by reading that what stood before stands again.

What someone else changed since is not overwritten but reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import state, three_way, writer
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
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import Entry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import (
    Client,
    exists,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ConflictError,
    KubeError,
    NotFoundError,
    may_have_been_done,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import CREATE, ROLLOUT, Change


class ForeignError(KubeError):
    """Someone else had a hand in an object; it is left as it is."""


class Reverted(NamedTuple):
    """written   `Kind/namespace/name` of what was written to
    restored  those of them that were seen to stand as before
    left      what could not be taken back, as sentences
    notes     what else went wrong: a journal that could not be written to its end
    already   what somebody else had taken back before, and who that was, as sentences
    """

    written: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    already: tuple[str, ...] = ()


def rehearse(client: Client, journal: Journal) -> tuple[list[Change], list[str]]:
    """The changes that `revert` would take back now, and what it could not, without storing anything."""
    possible: list[Change] = []
    left: list[str] = []
    for _index, entry in _written(journal):
        try:
            found = _ours(client, entry)
            if found is not None:
                _undo(client, entry.change, found, dry=True)
                possible.append(entry.change)
        except KubeError as error:
            left.append(str(error))
    return possible, left


def revert(
    client: Client,
    journal: Journal,
    timeout: float,
    clock: Clock = REAL_CLOCK,
    keep: Callable[[], None] = no_duty,
    note: str = "",
) -> Reverted:
    """Take the changes of a journal back. Never raises KubeError: whatever fails is in `left` or `notes`.

    timeout: seconds for all effects together. keep: `Lease.keep` of the path. note: why, for the journal.
    """
    written: list[str] = []
    restored: list[str] = []
    left: list[str] = []
    notes: list[str] = []
    already: list[str] = []
    effects = Effects(client, journal, timeout, with_duty(clock, keep))
    for index, entry in _written(journal):
        target = entry.change.target
        unknown = entry.state == record.WRITING
        try:
            found = _ours(client, entry)
            unknown = False
            if found is None:
                already += _taken_back_by(client, entry)
            else:
                keep()
                effects.about_to_write(index)
                try:
                    _undo_surely(client, entry, found)
                except KubeError as error:
                    unknown = may_have_been_done(error)
                    written += [str(target)] if unknown else []
                    raise
                written.append(str(target))
                _prove(client, entry.change)
                restored.append(str(target))
                effects.wait_for(index)
        except KubeError as error:
            in_doubt = unknown and not isinstance(error, ForeignError)
            left.append(f"It is unknown whether {target} was written: {error}" if in_doubt else str(error))
            if isinstance(error, LostError):
                return Reverted(tuple(written), tuple(restored), tuple(left), tuple(notes), tuple(already))
            continue
        _record(notes, journal, lambda index=index: journal.mark(index, record.REVERTED))
    ended = record.FAILED if left else record.REVERTED
    _record(notes, journal, lambda: journal.finish(ended, " ".join([note, *left]).strip()))
    return Reverted(tuple(written), tuple(restored), tuple(left), tuple(notes), tuple(already))


def _written(journal: Journal) -> list[tuple[int, Entry]]:
    """The changes that were written or may have been, last one first, but for those that replace pods.

    What a pod does when it starts rests on the mesh's configuration, so pods are replaced when that stands as before.
    """
    states = (record.WRITING, record.APPLIED)
    written = [(index, entry) for index, entry in enumerate(journal.entries) if entry.state in states]
    return sorted(written, key=lambda pair: (pair[1].change.waits_for == ROLLOUT, -pair[0]))


def _ours(client: Client, entry: Entry) -> Object | None:
    """The object as we left it; None where there is nothing to take back.

    Raises ForeignError where it is neither as we left it nor as we found it.
    """
    change, target = entry.change, entry.change.target
    found = exists(client, target.kind, target.namespace, target.name)
    if found is None:
        if change.action == CREATE or entry.state == record.WRITING:
            return None
        raise ForeignError(f"{target} does not exist any more, so there is nothing to restore it in.")
    if state.holds_before(found, change):
        return None
    if not state.holds_after(found, change):
        differences = "; ".join(map(str, three_way.differences(found, change)))
        raise ForeignError(f"{target} was changed by someone else since, so it is left as it is: {differences}.")
    if change.action == CREATE and entry.uid and objects.metadata(found).get("uid") != entry.uid:
        raise ForeignError(f"{target} was created anew by someone else, so it is left as it is.")
    return found


def _taken_back_by(client: Client, entry: Entry) -> list[str]:
    """Who took back what we had written, in a sentence; none where nothing tells."""
    target = entry.change.target
    if entry.state != record.APPLIED:
        return []
    try:
        found = exists(client, target.kind, target.namespace, target.name)
    except KubeError:
        # A courtesy: what is to be undone is undone.
        return []
    who, when = writer.last(found or {})
    if not who:
        return []
    return [f"Somebody had taken {target} back before: {who} was the last to write to it, at {when}."]


def _undo(client: Client, change: Change, found: Object, dry: bool = False) -> None:
    target = change.target
    if change.action != CREATE:
        client.patch(target.kind, target.namespace, target.name, list(change.reverse), dry, target.api_version)
        return
    uid = objects.text(objects.metadata(found).get("uid"))
    try:
        client.delete(target.kind, target.namespace, target.name, uid, dry, target.api_version)
    except NotFoundError:
        # Someone was faster; what we wanted is the case.
        return


def _undo_surely(client: Client, entry: Entry, found: Object) -> None:
    """Undo, and where it is unclear whether it was done look at the object before the one further try."""
    try:
        _undo(client, entry.change, found)
    except KubeError as error:
        if not isinstance(error, ConflictError) and not may_have_been_done(error):
            raise
        again = _ours(client, entry)
        if again is not None:
            _undo(client, entry.change, again)


def _prove(client: Client, change: Change) -> None:
    target = change.target
    found = exists(client, target.kind, target.namespace, target.name)
    stands = found is None if change.action == CREATE else found is not None and state.holds_before(found, change)
    if not stands:
        raise ForeignError(f"{target} was written back but does not stand as before: something changes it again.")


def _record(notes: list[str], journal: Journal, write: Callable[[], None]) -> None:
    try:
        write()
    except KubeError as error:
        notes.append(f"Journal {journal.namespace}/{journal.name} could not be written: {error}")
