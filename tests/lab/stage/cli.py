# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the stage: bring a scenario's world about, and ask Grafana as a user does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import yaml
from meshlab import mesh_config
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders, folders

from stage import query, scenario, world


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

    setting = command("set", run_set, "bring a world about and wait until Grafana's answer proves it")
    setting.add_argument("scenario", nargs="?", help="default: the stack alone, in which queries die")
    command("restart-proxy", run_restart_proxy, "replace the proxy's pod, and with it all its connections")
    asking = command("ask", run_ask, "print Grafana's answer to a query as JSON")
    asking.add_argument("--query", default="up")
    asking.add_argument("--uid", default=query.UID)
    expecting = command("expect", run_expect, "ask until Grafana answers as expected")
    expecting.add_argument("answer", help="YAML with status, body (a fragment) and tenants")
    return result


def run_set(options: argparse.Namespace, api: Api, places: Folders) -> None:
    wanted = scenario.load(options.scenario) if options.scenario else scenario.plain()
    mesh_config.reset(api, places)
    if wanted.mesh:
        mesh_config.change(api, wanted.mesh)
    world.bring_about(api, wanted.objects)
    reply = query.wait_for(api, places, wanted.answer)
    print(f"Grafana answers {reply.status}: {reply.body.strip()[:200]}")


def run_restart_proxy(_options: argparse.Namespace, api: Api, _places: Folders) -> None:
    world.restart_proxy(api)


def run_ask(options: argparse.Namespace, api: Api, places: Folders) -> None:
    print(json.dumps(query.ask(api, places, options.query, options.uid)._asdict()))


def run_expect(options: argparse.Namespace, api: Api, places: Folders) -> None:
    reply = query.wait_for(api, places, yaml.safe_load(options.answer))
    print(json.dumps(reply._asdict()))
