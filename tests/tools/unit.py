# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests: those in Python, on every core, and those of the lab's node agent where Go is there."""

from __future__ import annotations

import sys

import agent
from steps import TOOLS, call, step


def main() -> int:
    """Return 0 only if all tests that could run passed."""
    passed = step("Unit tests", lambda: call([str(TOOLS / "python"), "-m", "pytest", "-q", "--numprocesses", "auto"]))
    if agent.go():
        passed = step("Unit tests of the lab's node agent", agent.run_tests) and passed
    else:
        print(f"   NOT RUN: the unit tests of the lab's node agent, {agent.WHERE_FROM}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
