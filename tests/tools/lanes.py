# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays scenarios side by side, each lane in a namespace of its own: half of a scenario's time is waiting.

A scenario's own output is shown only where it failed; that it passed is one line.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from subprocess import PIPE, STDOUT
from typing import NamedTuple

from agent import LAB
from lab import access
from steps import TOOLS, ended


class Played(NamedTuple):
    """printed: what molecule said. seconds: how long it took."""

    name: str
    code: int
    printed: str
    seconds: float


def alone(names: Sequence[str]) -> list[str]:
    """Return those scenarios that reach beyond their namespace: no other may be played beside them."""
    if str(LAB) not in sys.path:
        sys.path.insert(0, str(LAB))
    scenario = importlib.import_module("stage.scenario")
    return [name for name in names if scenario.alone(name)]


def side_by_side(names: Sequence[str], lanes: int) -> list[str]:
    """Play scenarios, so many at a time, and return the titles of those that failed.

    :raises AbsentError: no lab is up.
    """
    spaces: SimpleQueue[str] = SimpleQueue()
    for space in ["monitoring", *(f"monitoring-{lane}" for lane in range(2, lanes + 1))]:
        spaces.put(space)
    environment, running = access(), set[subprocess.Popen[str]]()

    def play(name: str) -> Played:
        space, started = spaces.get(), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="meshops-molecule-") as notes:
            env = {**environment, "MOLECULE_EPHEMERAL_DIRECTORY": notes, "MESHOPS_STAGE_NAMESPACE": space}
            process = subprocess.Popen(
                command(name), env=env, stdout=PIPE, stderr=STDOUT, text=True, errors="replace", start_new_session=True
            )
            running.add(process)
            printed, _nothing = process.communicate()
        spaces.put(space)
        return Played(name, process.returncode, printed, time.monotonic() - started)

    failed = []
    pool = ThreadPoolExecutor(lanes)
    try:
        for done in as_completed([pool.submit(play, name) for name in names]):
            played = done.result()
            title = f"Scenario {played.name}"
            if played.code:
                print(f"== {title}\n{played.printed}", end="")
                failed.append(title)
            ended(title, f"FAILED (exit code {played.code})" if played.code else "passed", played.seconds)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        # Where this is interrupted, what molecule has started would go on without it.
        for process in list(running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        pool.shutdown()
    return failed


def command(name: str) -> list[str]:
    """Return what plays one scenario from its beginning."""
    return [str(TOOLS / "molecule"), "test", "--no-report", "--scenario-name", name]
