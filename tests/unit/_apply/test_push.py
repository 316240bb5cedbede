# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer

A, B = "monitoring/a", "monitoring/b"
OLD, WRITTEN, YOUNGER = "2026-11-24T11:00:00Z/7", "2026-11-24T11:00:05Z", "2026-11-24T11:00:06Z/8"
SAME_SECOND = f"{WRITTEN}/8"


class Mesh:
    """Two sidecars whose configuration changes as time passes: a step is (seconds, pod, version)."""

    def __init__(self, server: ApiServer, *steps: tuple[float, str, str]) -> None:
        self.now = 0.0
        self._steps = steps
        server.run = self._run

    def _run(self, pod: str, command: tuple[str, ...]) -> tuple[str, str, int]:
        assert command == push.ADMIN_COMMAND
        version = [text for when, name, text in ((0.0, pod, OLD), *self._steps) if when <= self.now and name == pod][-1]
        return (f'listener_manager.lds.version_text: "{version}"\n' if version else "", "", 0)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.now, self._sleep)


def waited(client: Client, mesh: Mesh, timeout: float = 60) -> float:
    before = push.versions(client, [A, B])
    assert before == {A: OLD, B: OLD}
    push.wait(client, before, WRITTEN, timeout, mesh.clock())
    return mesh.now


def test_every_sidecar_is_waited_for(server: ApiServer, client: Client) -> None:
    mesh = Mesh(server, (1.0, "a", YOUNGER), (4.0, "b", YOUNGER))
    assert waited(client, mesh) == pytest.approx(4.0 + push.ROUTES_SECONDS, abs=2 * push.POLL)


def test_a_push_of_the_same_second_may_be_from_before_the_write(server: ApiServer, client: Client) -> None:
    mesh = Mesh(server, (1.0, "a", YOUNGER), (1.0, "b", SAME_SECOND))
    expected = 1.0 + push.QUIET_SECONDS + push.ROUTES_SECONDS
    assert waited(client, mesh) == pytest.approx(expected, abs=2 * push.POLL)


def test_a_further_push_ends_the_doubt(server: ApiServer, client: Client) -> None:
    mesh = Mesh(server, (1.0, "a", YOUNGER), (1.0, "b", SAME_SECOND), (1.7, "b", YOUNGER))
    assert waited(client, mesh) == pytest.approx(1.7 + push.ROUTES_SECONDS, abs=2 * push.POLL)


def test_a_push_that_never_comes_is_waited_for_no_longer_than_istiod_can_take(
    server: ApiServer, client: Client
) -> None:
    assert waited(client, Mesh(server, (1.0, "a", YOUNGER))) == pytest.approx(push.LONGEST_WAIT, abs=1)
    assert waited(client, Mesh(server), timeout=2) == pytest.approx(2, abs=1)


def test_a_sidecar_that_goes_away_is_not_waited_for(server: ApiServer, client: Client) -> None:
    mesh = Mesh(server, (1.0, "a", YOUNGER), (0.5, "b", ""))
    assert waited(client, mesh) == pytest.approx(1.0 + push.ROUTES_SECONDS, abs=2 * push.POLL)


def test_without_the_right_to_ask_a_fixed_time_is_waited(server: ApiServer, client: Client) -> None:
    mesh = Mesh(server)
    server.forbid("GET", "exec")
    before = push.versions(client, [A, B])
    assert before == {}
    push.wait(client, before, WRITTEN, 60, mesh.clock())
    assert mesh.now == push.BLIND_SECONDS
