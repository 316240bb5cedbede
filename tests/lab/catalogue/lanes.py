# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges several worlds at a time, each in a namespace of its own: most of a world's time is waiting for the mesh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from meshlab import namespaces
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders
from stage import place, scenario

from catalogue import run as one_lane
from catalogue.run import Tally


def run(api: Api, places: Folders, names: Sequence[str], snapshots: Path, lanes: int) -> Tally:
    """Judge worlds side by side, then those that have to be alone, print how each went, and count. Raises LabError."""
    if lanes < 2:
        return one_lane.run(api, places, names, snapshots)
    alone = [name for name in names if scenario.alone(name)]
    beside = [name for name in names if name not in alone]
    tallies = side_by_side(api, [beside[lane::lanes] for lane in range(min(lanes, len(beside)))], snapshots)
    tallies.append(one_lane.run(api, places, alone, snapshots))
    return Tally(*(sum(counts) for counts in zip(*tallies, strict=True)))


def side_by_side(api: Api, shares: Sequence[Sequence[str]], snapshots: Path) -> list[Tally]:
    """Judge each share in a process of its own. The first one's namespace stays, as it does without lanes."""
    spaces = place.spaces(len(shares))
    with ExitStack() as ending:
        for space in spaces[1:]:
            ending.callback(namespaces.clean, api, space)
        folders = [snapshots / space for space in spaces]
        started = [
            ending.enter_context(start(space, share, folder))
            for space, share, folder in zip(spaces, shares, folders, strict=True)
        ]
        codes = [process.wait() for process in started]
    if any(codes):
        raise LabError(f"A lane ended early, with exit codes {codes}.")
    return [Tally(*json.loads(tally_of(folder).read_text(encoding="utf-8"))) for folder in folders]


def start(space: str, names: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    worlds = [name.rpartition("/")[2] for name in names]
    command = [sys.executable, "-m", "catalogue", "judge", "--snapshots", folder, "--tally", tally_of(folder), *worlds]
    return subprocess.Popen(command, env={**os.environ, place.VARIABLE: space})


def tally_of(folder: Path) -> Path:
    return folder.with_suffix(".tally")
