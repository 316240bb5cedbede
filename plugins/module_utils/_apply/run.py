# SPDX-License-Identifier: GPL-3.0-or-later
"""One run from beginning to end: the path is locked, rehearsed, recorded, written, given free, old records pruned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import (
    executor,
    journal,
    lease,
    reverter,
    rights,
    shadow,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import (
    REAL_CLOCK,
    Clock,
    with_duty,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Facts, Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.reverter import Reverted
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import copies, find
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import Record
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.shadow import Shadow


def rehearse(client: Client, namespace: str, facts: Facts, changes: Sequence[Change]) -> None:
    """Let the API server try everything without storing it. Raises ApplyError and other KubeErrors.

    namespace: where journals and Leases lie.
    """
    lease.look(client, namespace, facts.path_id)
    _rehearse(client, namespace, facts, changes)


def carry_out(
    client: Client, namespace: str, facts: Facts, changes: Sequence[Change], timeout: float, soak_seconds: float = 0
) -> str:
    """Make the changes; returns the run's name. Raises ApplyError with `run`, and KubeErrors where nothing was begun.

    timeout: seconds for all effects together. soak_seconds: how long to watch then whether the changes stay.
    """
    with lease.held(client, namespace, facts.path_id) as ours:
        # Only now: what an earlier run changed meanwhile does not pass the tests of the plan.
        _rehearse(client, namespace, facts, changes)
        record = journal.begin(client, namespace, facts, changes)
        try:
            executor.execute(client, record, timeout, keep=ours.keep, soak_seconds=soak_seconds)
        except executor.ApplyError as error:
            error.run = record.name
            raise
        _prune(client, namespace, facts.path_id)
    return record.name


def rehearse_taking_back(client: Client, record: Record) -> tuple[list[Change], list[str]]:
    """What would be taken back, and what could not, without storing anything. Raises HeldError."""
    lease.look(client, record.namespace, record.path_id)
    return reverter.rehearse(client, Journal(client, record))


def take_back(client: Client, record: Record, timeout: float) -> tuple[list[Change], Reverted]:
    """Take a run back: the changes that were found to be possible, and what came of them. Raises HeldError."""
    namespace, path_id = record.namespace, record.path_id
    with lease.held(client, namespace, path_id) as ours:
        # Read again: who held the path until now may have gone on with this very record.
        ongoing = Journal(client, find.load(client, namespace, record.name, path_id))
        possible, _left = reverter.rehearse(client, ongoing)
        done = reverter.revert(client, ongoing, timeout, keep=ours.keep)
        if not done.left:
            _prune(client, namespace, path_id)
    return possible, done


def clear(client: Client, access: Access, namespace: str, path_id: str, check_mode: bool) -> None:
    """Delete the Lease of a run that died before it changed anything. Raises HeldError where a run is at work."""
    if lease.look(client, namespace, path_id) is None or check_mode:
        return
    access.require(rights.to_lock(namespace))
    lease.take(client, namespace, path_id).release()


@contextmanager
def beside(
    client: Client, namespace: str, path_id: str, copied: Shadow, timeout: float
) -> Iterator[tuple[list[Pod], list[Object], Clock]]:
    """A shadow's ready pods and what it owns while the block runs, and a clock on which waiting keeps the path ours.

    namespace: of the Lease. Raises HeldError and what `shadow.standing` raises.
    """
    with lease.held(client, namespace, path_id) as ours:
        clock = with_duty(REAL_CLOCK, ours.keep)
        shadow.dry_run(client, copied.bodies)
        with shadow.standing(client, copied, timeout, clock) as (pods, owned):
            yield pods, owned, clock


def sweep(
    client: Client, access: Access, namespace: str, path_id: str, places: Iterable[str], check_mode: bool
) -> bool:
    """Remove what rehearsals left that were killed; whether there is any. Raises HeldError where one is under way.

    namespace: of the Lease. places: namespaces in which a copy may stand. What was removed, and where it could not be
    seen whether there is one, becomes a warning; in check mode what is there does.
    """
    if check_mode:
        return tell_of_copies(client, path_id, places)
    found = copies.in_namespaces(client, [path_id], places)
    client.warnings += found.unknown
    for copy in found.copies:
        access.require([*rights.to_lock(namespace), *rights.to_remove_shadow(copy.namespace)])
        with lease.held(client, namespace, path_id) as ours:
            if shadow.remove(client, copy.namespace, copy.name, with_duty(REAL_CLOCK, ours.keep)):
                client.warnings.append(f"Removed Deployment {copy} and what it owned: a rehearsal had left it.")
    return bool(found.copies)


def tell_of_copies(client: Client, path_id: str, places: Iterable[str]) -> bool:
    """Warn of copies that rehearsals set up, and of where they cannot be seen; whether there is any.

    places: namespaces in which one may stand.
    """
    try:
        found = copies.in_namespaces(client, [path_id], places)
    except KubeError as error:
        client.warnings.append(f"Whether a rehearsal left a copy is unknown: {error}")
        return False
    for copy in found.copies:
        client.warnings.append(
            f"Deployment {copy} is of a rehearsal that is under way or was killed. In the latter case the next fix or "
            "rehearsal on this path removes it first."
        )
    client.warnings += found.unknown
    return bool(found.copies)


def _rehearse(client: Client, namespace: str, facts: Facts, changes: Sequence[Change]) -> None:
    journal.rehearse(client, namespace, facts, changes)
    executor.dry_run(client, changes)


def _prune(client: Client, namespace: str, path_id: str) -> None:
    try:
        journal.prune(client, namespace, path_id)
    except KubeError as error:
        client.warnings.append(f"Old journals in namespace {namespace} could not be pruned: {error}")
