# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault at every API call of every fix and its way back; print how many were tried and how many passed.

Passed is a run after which nothing is lost, no Lease and no open journal stays behind, nothing was written beyond the
plan, and `changed` says what is so. Reading is the same for all fixes, so the calls before the lock are tried once.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter

from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rows import ROWS

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

KINDS = ("lost", "orphan", "false changed")

# Indexes of a row and of a strategy, and the state that the module is to bring about: what one process works on.
Part = tuple[int, int, str]


def faults(part: Part) -> list[list[str]]:
    """Play one fault at every call of one fix or of its way back; return for each call what was wrong there."""
    row, strategy, state = part
    with serving(ApiServer()) as server, no_waiting():
        play = Play(server, STRATEGIES[strategy], state)
        calls = range(0 if strategy == 0 else play.first_lock, play.calls)
        return [
            [f"{ROWS[row].name}; {STRATEGIES[strategy].name}, {state}; call {index}: {text}" for text in wrong]
            for index, wrong in ((index, play.faults(ROWS[row], index)) for index in calls)
        ]


def main() -> int:
    """Print one line per row and fix, and the sum; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    began = time.monotonic()
    only = parser.parse_args().row
    rows = [number for number, row in enumerate(ROWS) if only in row.name]
    parts = list(itertools.product(rows, range(len(STRATEGIES)), ("applied", "reverted")))
    tried: Counter[int] = Counter()
    passed: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    with multiprocessing.Pool() as pool:
        for part, found in zip(parts, pool.imap(faults, parts), strict=True):
            tried[part[0]] += len(found)
            passed[part[0]] += found.count([])
            for text in itertools.chain.from_iterable(found):
                print(text, flush=True)
                kinds[next((kind for kind in KINDS if f": {kind}" in text), "other")] += 1
    for row in rows:
        print(f"{ROWS[row].name:34} {tried[row]:5} calls, {passed[row]:5} passed")
    sums = ", ".join(f"{kinds[kind]} {kind}" for kind in (*KINDS, "other"))
    print(f"{len(rows)} rows, {tried.total()} cases, {passed.total()} passed: {sums}; {time.monotonic() - began:.0f} s")
    return int(passed != tried or not tried)


if __name__ == "__main__":
    sys.exit(main())
