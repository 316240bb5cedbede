# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program of the lab on the running mesh: the Makefile has them all, such as ``catalogue judge``."""

from __future__ import annotations

import sys

from lab import program
from steps import AbsentError

if __name__ == "__main__":
    try:
        sys.exit(program(*sys.argv[1:]))
    except AbsentError as absent:
        sys.exit(f"error: {absent}")
