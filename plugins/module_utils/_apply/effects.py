# SPDX-License-Identifier: GPL-3.0-or-later
"""Remembers how things stood before each write, and waits until it has come into effect."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push, rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import PUSH, ROLLOUT


class Effects:
    """The effects of the changes of one journal."""

    def __init__(self, client: Client, journal: Journal, clock: Clock) -> None:
        self._client, self._journal, self._clock = client, journal, clock
        self._old_pods: dict[int, set[str]] = {}
        self._versions: dict[str, str] | None = None
        self._written = ""

    def about_to_write(self, index: int) -> None:
        """To be called just before a change is written. Raises KubeError where a workload's pods cannot be read."""
        change = self._journal.entries[index].change
        if change.waits_for == ROLLOUT:
            self._old_pods[index] = rollout.pod_names(self._client, change.target)
        if change.waits_for == PUSH:
            if self._versions is None:
                self._versions = push.versions(self._client, self._journal.sidecars)
            self._written = self._client.server_time().strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait(self, timeout: float) -> None:
        """Wait for all that was written since. Raises RolloutError; timeout: seconds for all of it together."""
        deadline = self._clock.now() + timeout
        for index, names in sorted(self._old_pods.items()):
            target = self._journal.entries[index].change.target
            rollout.wait(self._client, target, names, max(0.0, deadline - self._clock.now()), self._clock)
        if self._versions is not None:
            left = max(0.0, deadline - self._clock.now())
            push.wait(self._client, self._versions, self._written, left, self._clock)
