# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers how things stood before a write, and waits until the write has come into effect.

Change by change, because one may rest on the other: pods that restart too early begin with the old configuration.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push, rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import PUSH, ROLLOUT


class Effects:
    """The effects of the changes of one journal."""

    def __init__(self, client: Client, journal: Journal, timeout: float, clock: Clock) -> None:
        """timeout: seconds for all effects together, from now on."""
        self._client, self._journal, self._clock = client, journal, clock
        self._deadline = clock.now() + timeout
        self._old_pods: set[str] = set()
        self._versions: dict[str, str] = {}
        self._written = ""

    def about_to_write(self, index: int) -> None:
        """To be called just before a change is written. Raises KubeError where a workload's pods cannot be read."""
        change = self._journal.entries[index].change
        if change.waits_for == ROLLOUT:
            self._old_pods = rollout.pod_names(self._client, change.target)
        elif change.waits_for == PUSH:
            self._versions = push.versions(self._client, self._journal.sidecars)
            self._written = self._client.server_time().strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait_for(self, index: int) -> None:
        """Wait for the change that was written last. Raises RolloutError and other KubeErrors."""
        change = self._journal.entries[index].change
        left = max(0.0, self._deadline - self._clock.now())
        if change.waits_for == ROLLOUT:
            rollout.wait(self._client, change.target, self._old_pods, left, self._clock)
        elif change.waits_for == PUSH:
            push.wait(self._client, self._versions, self._written, left, self._clock)
