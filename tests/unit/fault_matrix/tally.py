# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts what was tried and what was wrong, and prints it."""

from __future__ import annotations

import time
from collections import Counter

KINDS = ("lost", "orphan", "false changed", "false verdict")


class Tally:
    """Cases by the name of their row, from now on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._tried: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def add(self, row: str, where: str, wrong: list[str]) -> None:
        """Count a case, and print what was wrong with it."""
        self._tried[row] += 1
        self._passed[row] += not wrong
        for text in wrong:
            print(f"{row}; {where}: {text}", flush=True)
            self._kinds[next((kind for kind in KINDS if text.startswith(kind)), "other")] += 1

    def result(self) -> int:
        """Print the sums; return 1 if anything was wrong, or nothing was tried."""
        for row, tried in self._tried.items():
            print(f"{row:34} {tried:5} calls, {self._passed[row]:5} passed")
        sums = ", ".join(f"{self._kinds[kind]} {kind}" for kind in (*KINDS, "other"))
        took = time.monotonic() - self._began
        print(
            f"{len(self._tried)} rows, {self._tried.total()} cases, {self._passed.total()} passed: {sums}; {took:.0f} s"
        )
        return int(self._passed != self._tried or not self._tried)
