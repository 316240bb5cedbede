# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a step of the checks under a headline, and say how it ended and how long it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv" / "bin"


class AbsentError(Exception):
    """What a step is to check is not there; the message says what and what to do about it."""


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for the tools: their own programs first on PATH, output unbuffered, ``extra`` on top.

    Where nobody watches, colours are off: molecule would write them into log files too.
    """
    path = os.pathsep.join([str(TOOLS), os.environ.get("PATH", os.defpath)])
    plain = {} if sys.stdout.isatty() else {"NO_COLOR": "1"}
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **plain, **extra}


def call(argv: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> int:
    """Run ``argv`` with its output on the terminal and return its exit code.

    :raises AbsentError: the program does not exist.
    """
    sys.stdout.flush()
    try:
        return subprocess.run(argv, cwd=cwd, env=env or environment(), check=False).returncode
    except FileNotFoundError as error:
        raise AbsentError(f"{argv[0]} cannot be started: {error.strerror}") from error


def step(title: str, action: Callable[[], int]) -> bool:
    """Print a headline, run ``action`` (it returns an exit code), print how it ended; return whether it passed."""
    print(f"== {title}", flush=True)
    started = time.monotonic()
    try:
        code = action()
        verdict = "passed" if code == 0 else f"FAILED (exit code {code})"
    except AbsentError as absent:
        code, verdict = 1, f"FAILED: {absent}"
    ended(title, verdict, time.monotonic() - started)
    return code == 0


def ended(title: str, verdict: str, seconds: float) -> None:
    """Print how a step ended."""
    print(f"== {title}: {verdict}, {seconds:.1f} s", flush=True)
