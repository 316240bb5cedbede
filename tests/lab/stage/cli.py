# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the stage: bring a scenario's world about, and ask Grafana as a user does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders, folders

from stage import crowd, query, scenario, setting, state, world

SHOWN = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 not (one sentence on standard error says why)."""
    options = parser().parse_args(arguments)
    places = folders()
    try:
        options.command(options, Api(places), places)
    except LabError as error:
        print(f"stage: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="stage", description="Worlds of the lab, and a witness in them.")
    commands = result.add_subparsers(required=True, metavar="command")

    def command(name: str, run: object, help_: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_, description=help_)
        sub.set_defaults(command=run)
        return sub

    setting_ = command("set", run_set, "bring a world about and wait until Grafana's answer proves it")
    setting_.add_argument("scenario", nargs="?", help="default: the stack alone, in which queries die")
    asking = command("ask", run_ask, "print Grafana's answer to a query as JSON")
    asking.add_argument("--query", default="up")
    asking.add_argument("--uid", default=query.UID)
    expecting = command("expect", run_expect, "ask until Grafana answers as expected")
    expecting.add_argument("answer", help="YAML with status, body (a fragment) and tenants")
    expecting.add_argument("--new-connections", action="store_true", help="replace the proxy's pod first")
    recording = command("record", run_record, "write down what is in the namespace")
    recording.add_argument("file", type=Path)
    comparing = command("compare", run_compare, "fail where the namespace is not as it was recorded")
    comparing.add_argument("file", type=Path)
    comparing.add_argument("--strict", action="store_true", help="the journals of runs count too")
    crowding = command("crowd", run_crowd, "create Services and VirtualServices that have nothing to do with the path")
    crowding.add_argument("count", type=int)
    return result


def run_set(options: argparse.Namespace, api: Api, places: Folders) -> None:
    wanted = scenario.load(options.scenario) if options.scenario else scenario.plain()
    _reply, written = setting.bring_about(api, places, wanted)
    setting.settle(written)
    reply = query.wait_for(api, places, wanted.answer, times=1)
    print(f"Grafana answers {reply.status}: {reply.body.strip()[:200]}")


def run_ask(options: argparse.Namespace, api: Api, places: Folders) -> None:
    print(json.dumps(query.ask(api, places, options.query, options.uid)._asdict()))


def run_expect(options: argparse.Namespace, api: Api, places: Folders) -> None:
    if options.new_connections:
        world.restart_proxy(api)
    reply = query.wait_for(api, places, yaml.safe_load(options.answer))
    print(json.dumps(reply._asdict()))


def run_record(options: argparse.Namespace, api: Api, _places: Folders) -> None:
    options.file.write_text(json.dumps(state.read(api)), encoding="utf-8")


def run_compare(options: argparse.Namespace, api: Api, _places: Folders) -> None:
    before = json.loads(options.file.read_text(encoding="utf-8"))
    found = state.differences(before, state.read(api), options.strict)
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise LabError(f"The namespace is not as it was: {'; '.join(found[:SHOWN])}{more}.")


def run_crowd(options: argparse.Namespace, api: Api, _places: Folders) -> None:
    crowd.gather(api, options.count)
