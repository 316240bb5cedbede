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

from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rows import ROWS
from fault_matrix.simulated import Simulated
from fault_matrix.tally import Tally

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

# Indexes of a row and of a strategy, and the state that the module is to bring about: what one process works on.
Part = tuple[int, int, str]


def faults(part: Part) -> list[tuple[int, list[str]]]:
    """Play one fault at every call of one fix or of its way back; return what was wrong, by the call's index."""
    row, strategy, state = part
    with serving(ApiServer()) as server, no_waiting():
        play = Play(Simulated(server, STRATEGIES[strategy]), STRATEGIES[strategy], state)
        first = 0 if strategy == 0 else play.first_lock
        return [(index, play.faults(ROWS[row], index)) for index in play.struck(ROWS[row], first)]


def main() -> int:
    """Try the rows that are asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    only = parser.parse_args().row
    rows = [number for number, row in enumerate(ROWS) if only in row.name]
    parts = list(itertools.product(rows, range(len(STRATEGIES)), ("applied", "reverted")))
    tally = Tally()
    with multiprocessing.Pool() as pool:
        for (row, strategy, state), found in zip(parts, pool.imap(faults, parts), strict=True):
            for index, wrong in found:
                tally.add(ROWS[row].name, f"{STRATEGIES[strategy].name}, {state}; call {index}", wrong)
    return tally.result()


if __name__ == "__main__":
    sys.exit(main())
