# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks: what needs no cluster always, what needs the lab where one is up."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import tree
from lab import access
from steps import ROOT, TOOLS, AbsentError, call, environment, step

BENCH = ROOT / "tests" / "bench"
LAB_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshops-lab"


def main() -> int:
    """Return 0 only if every benchmark that could run did."""
    python = str(TOOLS / "python")
    path = os.pathsep.join([str(tree.live()), str(ROOT / "tests" / "unit")])
    judging = partial(call, [python, str(BENCH / "judging.py")], env=environment(PYTHONPATH=path))
    passed = step("Judging, beside decoding the same JSON", judging)
    try:
        env = {"MESHOPS_LAB_CACHE": str(LAB_CACHE), **access()}
    except AbsentError as absent:
        print(f"== Diagnosing a live path: left out, {absent}")
        return 0 if passed else 1
    diagnosing = partial(call, [python, str(BENCH / "diagnosing.py")], env=env)
    return 0 if step("Diagnosing, beside what one would run instead", diagnosing) and passed else 1


if __name__ == "__main__":
    sys.exit(main())
