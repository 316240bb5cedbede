# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable

from meshlab.errors import LabError


def until(
    true: Callable[[], object], what: str, patience: float, *, why: Callable[[], str] = str, pause: float = 0.1
) -> None:
    """Ask *true* until it says yes.

    After *patience* seconds raises LabError with *what* was waited for and the reason that *why* then finds.
    An exception of *true* ends the waiting at once: a program that has died will not become ready.
    """
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            reason = why()
            raise LabError(f"{what} did not happen within {patience:g} s{': ' + reason if reason else '.'}")
        time.sleep(pause)
