# SPDX-License-Identifier: GPL-3.0-or-later
"""A proof with one fault, judged: it says what is so, or that it knows too little, and leaves all as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from fault_matrix.killing import Killed, killing
from fault_matrix.play import is_write, no_clear_sentence
from fault_matrix.rows import Row

from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import judge
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_probe
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Request
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module

VERIFIED = "verified"


class Watched(Protocol):
    """An API server before a path that queries take or do not take.

    options: of the module that is to prove it. truth: what it finds without a fault.
    """

    options: dict[str, Any]
    truth: str

    def watch(self) -> None:
        """Forget all requests."""

    def requests(self) -> list[Request]:
        """What was asked of the API server since then."""

    def left(self) -> list[str]:
        """What a proof changed without writing to the API server, and has not put back."""

    def striking(self, row: Row, index: int) -> AbstractContextManager[None]:
        """Harm the call of this index, counted from here."""


class Verified:
    """A proof, played again and again."""

    def __init__(self, stage: Watched) -> None:
        self._stage = stage
        stage.watch()
        result = self._run()
        if result.get("result") != stage.truth:
            raise AssertionError(f"{stage.truth} is not found without a fault: {result}")
        self.calls = stage.requests()

    def _run(self) -> dict[str, Any]:
        return run_module(query_path_probe, **self._stage.options)

    def struck(self, row: Row) -> list[int]:
        """The calls that a fault strikes."""
        calls = enumerate(self.calls)
        return [index for index, call in calls if row.strikes(index, index, call.method, call.path)]

    def faults(self, row: Row, index: int) -> list[str]:
        """What is wrong after a proof with this fault at this call; empty where all is well."""
        self._stage.watch()
        result: dict[str, Any] | None = None
        with killing(row, index) if row.kills else self._stage.striking(row, index), contextlib.suppress(Killed):
            result = self._run()
        if row.kills != (result is None):
            return ["the fault did not strike"]
        wrong = [f"written: {call.method} {call.path}" for call in self._stage.requests() if is_write(call)]
        wrong += [f"orphan: {what}" for what in self._stage.left()]
        return wrong if result is None else [*wrong, *self._untrue(result, row)]

    def _untrue(self, result: dict[str, Any], row: Row) -> Iterator[str]:
        yield from no_clear_sentence(result)
        if result.get("changed", False):
            yield "false changed: a proof changes nothing"
        found = result.get("result", judge.INCONCLUSIVE)
        if found not in (self._stage.truth, judge.INCONCLUSIVE):
            yield f"false verdict: {found}, and it is {self._stage.truth}: {result['msg']}"
        if row.passes and found != self._stage.truth:
            yield f"what was refused once was not asked for again: {result['msg']}"
        if bool(result.get("failed")) is (found == judge.PASSED):
            yield f"false verdict: {found}, and failed is {result.get('failed', False)}"
