# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the fault matrix with the checkout visible under the collection's own name."""

from __future__ import annotations

import os
import subprocess
import sys

import tree
from steps import ROOT


def main(arguments: list[str]) -> int:
    """Pass the arguments on to ``python -m fault_matrix``; return its exit code."""
    paths = os.pathsep.join((str(tree.live()), str(ROOT / "tests/unit")))
    command = [sys.executable, "-m", "fault_matrix", *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
