# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal with one fault, judged: production is byte for byte as before, nothing of the copy stays without being
told, and the next run removes what did.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from fault_matrix.killing import Killed, killing
from fault_matrix.play import OWN, Objects, gathering, is_write, lease_is_told, no_clear_sentence, written_to
from fault_matrix.rows import KILL_AFTER, ROWS, Row
from fault_matrix.simulated import harming

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, is_dry
from ansible_collections.meshops.istio_remediation.tests.unit.modules.rehearsal_stage import Stage

# The fixes that can be rehearsed.
STRATEGIES = ("route_alias", "host_rewrite")
# Where a rehearsal begins: beside nothing, or beside what one left that was killed.
CLEAN, BESIDE_A_REST = "rehearsed", "rehearsed beside a rest"
NAME = "istio-remediation-shadow-"
KILLED = next(row for row in ROWS if row.does == KILL_AFTER)


class Rehearsed:
    """A rehearsal of a strategy, played again and again from the same beginning."""

    def __init__(self, server: ApiServer, program: ApiServer, strategy: str, beginning: str) -> None:
        """program: what the copy listens with."""
        self._stage, self._server, self._strategy = Stage(server, program), server, strategy
        self._warnings: list[str] = []
        self._beginning, self._ahead = self._stage.production, 0.0
        self._learn()
        if beginning == BESIDE_A_REST:
            starts = next(
                number for number, call in enumerate(self.calls) if call.method == "PATCH" and NAME in call.path
            )
            self._restore()
            with killing(KILLED, starts), contextlib.suppress(Killed):
                self._run()
            self._beginning, self._ahead = copy.deepcopy(server.objects), lease.DURATION + 1
            self._learn()
        self.writes = [number for number, call in enumerate(self.calls) if is_write(call) and not is_dry(call)]

    def _learn(self) -> None:
        self._restore()
        result = self._run()
        if result.get("result") != "passed" or self._stage.left():
            raise AssertionError(f"{self._strategy} is not rehearsed without a fault: {result}")
        self.calls = list(self._server.requests)

    def _restore(self) -> None:
        server = self._server
        server.objects, server.ahead = copy.deepcopy(self._beginning), self._ahead
        server.requests.clear()
        server.committed.clear()

    def _run(self) -> dict[str, Any]:
        self._warnings.clear()
        with gathering(self._warnings):
            return self._stage.rehearse(strategy=self._strategy, requests=1)

    def struck(self, row: Row) -> list[int]:
        """The calls that a fault strikes: from the first that is about a copy or the lock, all before is reading.

        Beside a rest they end with its removal, for then comes what is the same beside nothing.
        """
        ours = [n for n, call in enumerate(self.calls) if NAME in call.path or "/leases" in call.path]
        last = len(self.calls)
        if self._beginning is not self._stage.production:
            last = next(n for n in ours if self.calls[n].method == "DELETE" and "/leases" in self.calls[n].path)
        calls = enumerate(self.calls)
        return [n for n, call in calls if ours[0] <= n <= last and row.strikes(n, n, call.method, call.path)]

    def faults(self, row: Row, index: int) -> list[str]:
        """What is wrong after a rehearsal with this fault at this call; empty where all is well."""
        self._restore()
        result: dict[str, Any] | None = None
        strikes = killing(row, index) if row.kills else harming(self._server, row, index)
        with strikes, contextlib.suppress(Killed):
            result = self._run()
        if row.kills != (result is None):
            return ["the fault did not strike"]
        wrong = [*self._touched(), *(self._untrue(result) if result is not None else ())]
        self._server.ahead += lease.DURATION + 1
        again = self._run()
        if again.get("result") != "passed":
            wrong.append(f"lost: cannot be rehearsed again: {again['msg']}")
        return [*wrong, *self._touched(), *(f"orphan: {'/'.join(key)} after the next run" for key in self._left())]

    def _left(self) -> Objects:
        """What is there beside production."""
        return {key: obj for key, obj in self._server.objects.items() if key not in self._stage.production}

    def _touched(self) -> Iterator[str]:
        for key, obj in self._stage.production.items():
            if self._server.objects.get(key) != obj:
                yield f"lost: {'/'.join(key)} is not as before"
        for request in self._server.committed:
            plural, name = written_to(request)
            if plural not in OWN and not name.startswith(NAME):
                yield f"write beyond the copy: {request.method} {request.path}"

    def _untrue(self, result: dict[str, Any]) -> Iterator[str]:
        yield from no_clear_sentence(result)
        left = self._left()
        known = [obj["metadata"]["uid"] for obj in self._beginning.values()]
        new = ["/".join(key) for key, obj in left.items() if obj["metadata"]["uid"] not in known]
        copies = [place for place in new if not place.startswith("leases/")]
        # What may have stayed counts as changed, where that is said.
        told = bool(result.get("left"))
        if result.get("changed", False) is not told:
            yield f"false changed: says {result.get('changed')}, with left {result.get('left')}"
        if copies and not told:
            yield f"orphan: {copies} stays, and nobody is told: {result['msg']}"
        if copies and not result.get("failed"):
            yield "success is claimed, and the copy stays"
        if not result.get("failed") and result.get("result") != "passed":
            yield "success is claimed, and nothing is proved"
        locked = any(key[0] == "leases" for key in left)
        if locked and not lease_is_told(result, self._warnings, self._server.requests):
            yield "a Lease is left held"
