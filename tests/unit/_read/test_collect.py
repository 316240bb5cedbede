# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import collect

SERVICE, POD = Need("get", "Service", "a", "s"), Need("list", "Pod", "a")


class Recorder:
    """Answers every need with its key, and remembers the order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, need: Need) -> Answer:
        self.asked.append(need.key)
        return Answer(text=need.key)


def test_needs_are_read_round_by_round_and_once() -> None:
    reader = Recorder()

    def evaluate(snapshot: Snapshot) -> str:
        first = snapshot.ask(SERVICE).text
        return f"{first}+{snapshot.ask(POD).text}+{snapshot.ask(SERVICE).text}"

    result, snapshot = collect(reader, evaluate)
    assert result == "get Service a s+list Pod a+get Service a s"
    assert reader.asked == [SERVICE.key, POD.key]
    assert set(snapshot.answers()) == {SERVICE.key, POD.key}


def test_what_is_known_is_not_read_again() -> None:
    reader = Recorder()
    known = Snapshot({SERVICE.key: Answer(text="old")})
    result, _snapshot = collect(reader, lambda snapshot: snapshot.ask(SERVICE).text, known)
    assert (result, reader.asked) == ("old", [])


def test_a_judge_that_asks_in_circles_is_stopped() -> None:
    def insatiable(snapshot: Snapshot) -> None:
        snapshot.ask(Need("get", "Service", "a", str(len(snapshot.answers()))))

    with pytest.raises(RuntimeError, match="still asks after 60 rounds"):
        collect(Recorder(), insatiable)
