# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares many meshes, several slots side by side, and shrinks what disagrees."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from meshlab.errors import LabError

from differential import shrink
from differential.generator import Object, Slot, objects
from differential.lab import Bench
from differential.witness import Compared, compare

# A push may be late on a busy machine: what disagrees is looked at again before it counts.
LOOKS, LATER = 3, 1.0


class Disagreement(NamedTuple):
    """A mesh, made as small as it gets, with what is said about its hops."""

    seed: int
    mesh: Sequence[Object]
    compared: Sequence[Compared]


class Tally:
    """What was compared so far. Fit for several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.meshes = 0
        self.kinds: Counter[str] = Counter()
        self.agreed = self.undecided = self.compared = 0
        self.disagreements: list[Disagreement] = []

    def add(self, compared: Sequence[Compared], disagreement: Disagreement | None) -> None:
        with self.lock:
            self.meshes += 1
            self.compared += len(compared)
            self.agreed += sum(1 for entry in compared if entry.decided and entry.agrees)
            self.undecided += sum(1 for entry in compared if not entry.decided)
            self.kinds.update(entry.envoy.get("kind", "server port") for entry in compared)
            if disagreement:
                self.disagreements.append(disagreement)


def run(seeds: Sequence[int], slots: int, shrinks: int, told: Callable[[str], None]) -> Tally:
    """Compare one mesh for each seed. shrinks: how many disagreements are made small. Raises LabError."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for seed in seeds:
        waiting.put(seed)
    tally = Tally()

    def work(bench: Bench) -> None:
        try:
            bench.prepare()
            bench.sweep()
            for seed in _drain(waiting):
                _one(bench, seed, tally, shrinks, told)
            bench.leave()
        except LabError:
            # Nothing that follows would be better.
            list(_drain(waiting))
            raise

    with ThreadPoolExecutor(slots) as pool:
        for _done in pool.map(work, [Bench(Slot(number)) for number in range(1, slots + 1)]):
            continue
    return tally


def _drain(waiting: queue.SimpleQueue[int]) -> Iterator[int]:
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return


def _one(bench: Bench, seed: int, tally: Tally, shrinks: int, told: Callable[[str], None]) -> None:
    mesh = objects(bench.slot, seed)
    compared = judged(bench, mesh)
    disagreement = None
    if not all(entry.agrees for entry in compared):
        told(f"seed {seed} disagrees")
        if len(tally.disagreements) < shrinks:
            mesh = shrink.smallest(mesh, lambda less: not all(entry.agrees for entry in judged(bench, less)))
        disagreement = Disagreement(seed, mesh, judged(bench, mesh))
    tally.add(compared, disagreement)


def judged(bench: Bench, mesh: Sequence[Object]) -> list[Compared]:
    """What both sides say about a mesh, once its configuration has settled."""
    seen = bench.show(mesh)
    compared = compare(seen)
    for _look in range(LOOKS - 1):
        if all(entry.agrees for entry in compared):
            break
        time.sleep(LATER)
        compared = compare(bench.look([obj for obj in seen.objects if obj["kind"] != "Pod"]))
    return compared
