# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault at every API call of every fix and its way back; print how many were tried and how many passed.

Passed is a run after which nothing is lost, no Lease and no open journal stays behind, nothing was written beyond the
plan, and `changed` says what is so. Reading is the same for all fixes, so the calls before the lock are tried once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rows import ROWS

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

KINDS = ("lost", "orphan", "false changed")


def cases(only: str) -> Iterator[tuple[str, str, int, list[str]]]:
    """Yield row, fix, index of the call, and what was wrong, for every case."""
    with serving(ApiServer()) as server, no_waiting():
        for strategy in STRATEGIES:
            for state in ("applied", "reverted"):
                play = Play(server, strategy, state)
                first = 0 if strategy is STRATEGIES[0] else play.first_lock
                for row in ROWS:
                    if only in row.name:
                        for index in range(first, play.calls):
                            yield row.name, f"{strategy.name}, {state}", index, play.faults(row, index)


def main() -> int:
    """Print one line per row and fix, and the sum; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    began = time.monotonic()
    tried: Counter[tuple[str, str]] = Counter()
    passed: Counter[tuple[str, str]] = Counter()
    kinds: Counter[str] = Counter()
    for row, fix, index, wrong in cases(parser.parse_args().row):
        tried[row, fix] += 1
        passed[row, fix] += not wrong
        for text in wrong:
            print(f"{row}; {fix}; call {index}: {text}", flush=True)
            kinds[next((kind for kind in KINDS if text.startswith(kind)), "other")] += 1
    for row in dict.fromkeys(row for row, _fix in tried):
        fixes = [key for key in tried if key[0] == row]
        print(f"{row:34} {sum(tried[key] for key in fixes):5} calls, {sum(passed[key] for key in fixes):5} passed")
    sums = ", ".join(f"{kinds[kind]} {kind}" for kind in (*KINDS, "other"))
    print(f"{len(dict.fromkeys(row for row, _fix in tried))} rows, {sum(tried.values())} cases, ", end="")
    print(f"{sum(passed.values())} passed: {sums}; {time.monotonic() - began:.0f} s")
    return int(sum(passed.values()) != sum(tried.values()) or not tried)


if __name__ == "__main__":
    sys.exit(main())
