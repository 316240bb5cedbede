# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the fault matrix on a simulated API server, or with --lab on that of the lab, behind a proxy that harms."""

from __future__ import annotations

import os
import sys

import tree
from lab import access
from steps import ROOT, TOOLS, AbsentError, call, environment


def main(arguments: list[str]) -> int:
    """Pass the other arguments on; return the exit code.

    :raises AbsentError: the lab is not up.
    """
    on_lab = "--lab" in arguments
    package = "faults" if on_lab else "fault_matrix"
    path = os.pathsep.join([str(tree.live()), str(ROOT / "tests" / "unit"), str(ROOT / "tests" / "lab")])
    env = {**(access() if on_lab else environment()), "PYTHONPATH": path}
    rest = [argument for argument in arguments if argument != "--lab"]
    return call([str(TOOLS / "python"), "-m", package, *rest], env=env)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AbsentError as absent:
        sys.exit(f"error: {absent}")
