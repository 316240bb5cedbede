# SPDX-License-Identifier: GPL-3.0-or-later
"""How the benchmarks take time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 5


def median(work: Callable[[], object]) -> float:
    """Median seconds of a few runs, after one to warm up."""
    work()
    times = []
    for _round in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
