# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches for a while whether what was written stays, and says who took it back.

Only a look every few seconds: what was taken back stays so, because nobody but us would write it again.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import state, three_way, writer
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change

POLL = 2.0
# Argo CD heals within seconds, operators within a minute; what has not come by the longest soak comes with a release.
DEFAULT_SECONDS, LONGEST_SECONDS = 60, 600


class TakenBackError(KubeError):
    """Someone undid a change of ours while we watched."""


def seconds(asked: int | None, forced: str) -> int:
    """How long to watch. asked: by the user; forced: why the changes were forced, "" where they were not."""
    return (DEFAULT_SECONDS if forced else 0) if asked is None else asked


def watch(client: Client, journal: Journal, duration: float, clock: Clock) -> None:
    """Look at the changes of a journal until the time is over. Raises TakenBackError and other KubeErrors."""
    end = clock.now() + duration
    while clock.now() < end:
        clock.sleep(min(POLL, max(0.0, end - clock.now())))
        for entry in journal.entries:
            _look(client, entry.change)


def _look(client: Client, change: Change) -> None:
    target = change.target
    found = exists(client, target.kind, target.namespace, target.name)
    if found is None:
        raise TakenBackError(f"{target} was deleted by someone else by {_now(client)}.")
    if state.holds_after(found, change):
        return
    who, when = writer.last(found)
    fields = "; ".join(map(str, three_way.differences(found, change)))
    raise TakenBackError(
        f"{target} was taken back by {who or 'someone whom no managed field names'}, at {when or _now(client)}: "
        f"{fields}."
    )


def _now(client: Client) -> str:
    return client.server_time().strftime("%Y-%m-%dT%H:%M:%SZ")
