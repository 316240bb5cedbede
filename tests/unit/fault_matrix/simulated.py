# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of plays and proofs on the API server of the unit tests."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from fault_matrix.play import Objects, Strategy
from fault_matrix.rows import ANSWER, RESET, Row
from variations import destination_rule
from world import NS, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.judge import FAILED, PASSED
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    status,
)
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import FOUND
from ansible_collections.meshops.istio_remediation.tests.unit.modules.probe_stage import (
    GRAFANA_TOKEN,
    Mesh,
    QuietMesh,
    healed,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

# Paths to prove: a sound one, an ill one, and a sound one whose sidecars log nothing until their level is raised.
SOUND, ILL, QUIET = WORLDS = ("a sound path", "an ill path", "a sound path without access logs")
# Seconds within which a sidecar notices that nobody wants its debug lines any more.
RESTORED = 5.0


class Simulated:
    """See `play.Stage`. The path is ill in the way that the strategy cures."""

    keeps_uids = True

    def __init__(self, server: ApiServer, strategy: Strategy) -> None:
        self._server = server
        server.objects.clear()
        server.logs.clear()
        world = World()
        if strategy.mtls:
            destination_rule({"mode": "DISABLE"})(world)
        load(server, world)
        self.options = {"host": server.url, "api_key": "token", "grafana_namespace": NS, "wait_timeout": 1}

    def objects(self) -> Objects:
        return copy.deepcopy(self._server.objects)

    def restore(self, objects: Objects) -> None:
        self._server.objects = copy.deepcopy(objects)
        self._server.ahead = 0.0
        self._server.requests.clear()
        self._server.committed.clear()

    def requests(self) -> list[Request]:
        return list(self._server.requests)

    def committed(self) -> list[Request]:
        return list(self._server.committed)

    def expire_locks(self) -> None:
        self._server.ahead = lease.DURATION + 1

    def striking(self, row: Row, index: int) -> AbstractContextManager[None]:
        return harming(self._server, row, index)


class Queried:
    """See `verified.Watched`. Behind the API server are a Grafana and sidecars."""

    def __init__(self, server: ApiServer, grafana: ApiServer, world: str, folder: Path) -> None:
        """world: one of WORLDS. folder: an empty one, for the sidecars."""
        sound = world != ILL
        self.truth = PASSED if sound else FAILED
        self._server = server
        load(server, healed() if sound else World())
        quiet = world == QUIET
        self._mesh = QuietMesh(server, grafana, folder) if quiet else Mesh(server, grafana)
        if not sound:
            self._mesh.broken, self._mesh.logs_cluster = "upstream connect error", "PassthroughCluster"
        self._logs = dict(server.logs)
        self.options = {"host": server.url, "api_key": "token", "grafana_namespace": NS, "grafana_token": GRAFANA_TOKEN}
        self.options |= {"requests": 2, "raise_log_level": quiet}

    def watch(self) -> None:
        self._server.logs = dict(self._logs)
        self._server.requests.clear()

    def requests(self) -> list[Request]:
        return list(self._server.requests)

    def left(self) -> list[str]:
        sidecars = self._mesh.sidecars.items() if isinstance(self._mesh, QuietMesh) else ()
        return [f"the log level of {pod}" for pod, sidecar in sidecars if not sidecar.comes_to(FOUND, RESTORED)]

    def striking(self, row: Row, index: int) -> AbstractContextManager[None]:
        return harming(self._server, row, index)


@contextmanager
def harming(server: ApiServer, row: Row, index: int) -> Iterator[None]:
    """Harm the call of this index to a server, counted from here, while the block runs."""
    seen: list[Request] = []

    def fault(request: Request) -> Answer | None:
        seen.append(request)
        strikes = row.strikes(index, len(seen) - 1, request.method, request.path)
        return _harmed(server, row, request) if strikes else None

    server.faults.append(fault)
    try:
        yield
    finally:
        server.faults.remove(fault)


def _harmed(server: ApiServer, row: Row, request: Request) -> Answer:
    if row.does == ANSWER:
        headers = (("Retry-After", "0"),) if row.code == 429 else ()
        return Answer(row.code, status(row.code, row.reason, row.message), headers)
    faults, server.faults = server.faults, []
    try:
        answer = server.answer(request)
    finally:
        server.faults = faults
        # Asked twice by us, and once by the run.
        server.requests.pop()
    if row.does == RESET:
        return answer._replace(cut=1)
    raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    return answer._replace(body=raw[: len(raw) // 2])
