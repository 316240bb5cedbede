# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/truth-table.md from what is measured on the running lab."""

from __future__ import annotations

import os
import sys

import tree
from lab import access
from steps import ROOT, TOOLS, AbsentError, call, step


def measure() -> int:
    """Have the catalogue measure every world that has a row. Raises AbsentError where no lab is up."""
    path = os.pathsep.join([str(ROOT / "tests" / "lab"), str(tree.live())])
    return call([str(TOOLS / "python"), "-m", "catalogue", "table"], env={**access(), "PYTHONPATH": path})


if __name__ == "__main__":
    try:
        sys.exit(0 if step("Truth table", measure) else 1)
    except AbsentError as absent:
        sys.exit(f"error: {absent}")
