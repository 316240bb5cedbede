# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the catalogue of worlds."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders
from stage import scenario

from catalogue import lanes, mutations, run, table

GROUP = "catalogue"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 as expected, 1 not."""
    options = parser().parse_args(arguments)
    try:
        result: int = options.command(options)
    except LabError as error:
        print(f"catalogue: {error}", file=sys.stderr)
        return 1
    return result


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="catalogue", description="Worlds that are only judged, one after the other.")
    commands = result.add_subparsers(required=True, metavar="command")
    judging = commands.add_parser("judge", help="bring each world about and compare its diagnosis, live and offline")
    judging.add_argument("names", nargs="*", metavar="world", help="default: all")
    judging.add_argument("--snapshots", type=Path, help="keep the snapshots in this folder")
    judging.add_argument("--lanes", type=int, default=1, help="worlds to play at a time, each in its own namespace")
    judging.add_argument("--tally", type=Path, help="write the counts into this file, as JSON, and do not print them")
    judging.set_defaults(command=run_judge)
    writing = commands.add_parser("table", help="measure every world that has a row number and write the truth table")
    writing.set_defaults(command=run_table)
    proving = commands.add_parser(
        "prove", help="probe worlds in which tenants or mTLS are broken: the proof has to fail"
    )
    proving.add_argument("names", nargs="*", metavar="group/world", help="default: all")
    proving.add_argument("--then", metavar="scenario", help="leave this world behind")
    proving.set_defaults(command=run_prove)
    return result


def run_prove(options: argparse.Namespace) -> int:
    places = folders()
    wrong = mutations.run(Api(places), places, options.names or mutations.worlds())
    if options.then:
        run.establish(Api(places), places, options.then)
    return 1 if wrong else 0


def run_table(_options: argparse.Namespace) -> int:
    places = folders()
    table.write(Api(places), places)
    return 0


def run_judge(options: argparse.Namespace) -> int:
    names = [f"{GROUP}/{name}" for name in options.names] or scenario.group(GROUP)
    places = folders()
    with tempfile.TemporaryDirectory() as temporary:
        snapshots = options.snapshots or Path(temporary)
        snapshots.mkdir(parents=True, exist_ok=True)
        tally = lanes.run(Api(places), places, names, snapshots, options.lanes)
    if options.tally:
        options.tally.write_text(json.dumps(tally), encoding="utf-8")
        return 0
    print(
        f"{tally.judged - tally.wrong} of {tally.judged} worlds as expected, live and offline; "
        f"misses: {tally.misses}, false alarms: {tally.false_alarms}"
    )
    return 1 if tally.wrong else 0
