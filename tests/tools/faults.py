# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the fault matrix with the checkout visible under the collection's own name."""

from __future__ import annotations

import os
import sys

import tree
from steps import ROOT, TOOLS, call, environment


def main(arguments: list[str]) -> int:
    """Pass the arguments on to ``python -m fault_matrix``; return its exit code."""
    path = os.pathsep.join((str(tree.live()), str(ROOT / "tests" / "unit")))
    return call([str(TOOLS / "python"), "-m", "fault_matrix", *arguments], env=environment(PYTHONPATH=path))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
