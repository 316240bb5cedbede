# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays scenarios side by side, each lane in a namespace of its own: half of a scenario's time is waiting.

A scenario's own output is shown only where it failed; that it passed is one line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from queue import SimpleQueue
from subprocess import PIPE, STDOUT
from typing import NamedTuple

from lab import access, module
from steps import TOOLS, ended


class Played(NamedTuple):
    """printed: what molecule said. seconds: how long it took."""

    name: str
    code: int
    printed: str
    seconds: float


def alone(names: Sequence[str]) -> list[str]:
    """Return those scenarios that reach beyond their namespace: no other may be played beside them."""
    return [name for name in names if module("stage.scenario").alone(name)]


def side_by_side(names: Sequence[str], lanes: int) -> list[str]:
    """Play scenarios, so many at a time, and return the titles of those that failed.

    :raises AbsentError: no lab is up.
    """
    place, spaces = module("stage.place"), SimpleQueue[str]()
    for space in place.spaces(lanes):
        spaces.put(space)
    env, running = access(), set[subprocess.Popen[str]]()

    def play(name: str) -> Played:
        space, started = spaces.get(), time.monotonic()
        with fresh({**env, place.VARIABLE: space}) as own:
            process = subprocess.Popen(
                command(name), env=own, stdout=PIPE, stderr=STDOUT, text=True, errors="replace", start_new_session=True
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
    """Return what plays one scenario in a fresh environment."""
    return [str(TOOLS / "molecule"), "test", "--no-report", "--scenario-name", name]


@contextmanager
def fresh(env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a scenario that meets nothing of an earlier run, while the block runs.

    Molecule remembers by the name of the checkout's folder which scenarios are prepared, also after the mesh that they
    were prepared on is gone; hence a new folder for its notes each time.
    """
    with tempfile.TemporaryDirectory(prefix="meshops-molecule-") as notes:
        yield {**env, "MOLECULE_EPHEMERAL_DIRECTORY": notes}
