# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault at every API call of every fix, its way back, its rehearsal and its proof; print how many passed.

Passed is a run after which nothing is lost, no Lease and no open journal stays behind, nothing was written beyond the
plan, and `changed` says what is so; of a rehearsal no copy stays either, and a proof never finds what is not so.
Reading is the same for all fixes, so what comes before the lock is tried once.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import tempfile
from pathlib import Path

from fault_matrix import rehearsed
from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rehearsed import Rehearsed
from fault_matrix.rows import ROWS
from fault_matrix.simulated import WORLDS, Queried, Simulated
from fault_matrix.tally import Tally
from fault_matrix.verified import VERIFIED, Verified

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

# Index of a row, name of a strategy or of a path, and what the module is to bring about: what one process works on.
Part = tuple[int, str, str]
REHEARSALS = (rehearsed.CLEAN, rehearsed.BESIDE_A_REST)


def faults(part: Part) -> list[tuple[int, list[str]]]:
    """Play one fault at every call of a run; return what was wrong, by the call's index."""
    number, name, state = part
    row = ROWS[number]
    with serving(ApiServer()) as server, serving(ApiServer()) as program, no_waiting():
        if state in REHEARSALS:
            rehearsal = Rehearsed(server, program, name, state)
            return [(index, rehearsal.faults(row, index)) for index in rehearsal.struck(row)]
        if state == VERIFIED:
            with tempfile.TemporaryDirectory() as folder:
                proof = Verified(Queried(server, program, name, Path(folder)))
                return [(index, proof.faults(row, index)) for index in proof.struck(row)]
        strategy = next(strategy for strategy in STRATEGIES if strategy.name == name)
        play = Play(Simulated(server, strategy), strategy, state)
        first = 0 if strategy is STRATEGIES[0] else play.first_lock
        return [(index, play.faults(row, index)) for index in play.struck(row, first)]


def main() -> int:
    """Try the rows that are asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    only = parser.parse_args().row
    rows = [number for number, row in enumerate(ROWS) if only in row.name]
    names = [strategy.name for strategy in STRATEGIES]
    parts = [
        *itertools.product(rows, names, ("applied", "reverted")),
        *itertools.product(rows, rehearsed.STRATEGIES, REHEARSALS),
        *itertools.product(rows, WORLDS, (VERIFIED,)),
    ]
    tally = Tally()
    with multiprocessing.Pool() as pool:
        for part, found in zip(parts, pool.imap(faults, parts), strict=True):
            number, name, state = part
            for index, wrong in found:
                tally.add(ROWS[number].name, f"{name}, {state}; call {index}", wrong)
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
