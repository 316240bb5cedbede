# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the lab."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from meshlab import debian, health, lifecycle, mesh_config, namespaces
from meshlab.api import Api
from meshlab.build import build
from meshlab.errors import LabError
from meshlab.locking import exclusive
from meshlab.progress import say
from meshlab.settings import Folders, folders


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 not (one sentence on standard error says why)."""
    options = parser().parse_args(arguments)
    try:
        result: int = options.command(options, folders())
    except LabError as error:
        print(f"meshlab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Nobody reads on, as in "up | head"; the interpreter must not complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("meshlab: interrupted; 'up' and 'down' cope with what is left", file=sys.stderr)
        return 130
    return result


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="meshlab", description="A real Istio sidecar mesh on one machine.")
    commands = result.add_subparsers(required=True, metavar="command")

    def command(name: str, run: object, help_: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_, description=help_)
        sub.set_defaults(command=run)
        return sub

    command("build", run_build, "build or fetch the programs that are missing")
    command("up", run_up, "start the lab, or repair it; does nothing when it is well")
    command("down", run_down, "end the lab and remove every trace but the cache of programs")
    command("status", run_status, "say how each component is; exit code 1 when one is not well")
    mesh = command(
        "mesh-config", run_mesh_config, "change Istio's mesh configuration and wait until istiod works with it"
    )
    mesh.add_argument("action", choices=("set", "reset"), help="reset: go back to how the lab was started")
    mesh.add_argument(
        "assignments", nargs="*", metavar="KEY=VALUE", help="such as outboundTrafficPolicy.mode=REGISTRY_ONLY"
    )
    clean = command(
        "clean-namespace", run_clean_namespace, "delete a namespace with all it holds and wait until it is gone"
    )
    clean.add_argument("namespace")
    return result


def run_build(_options: argparse.Namespace, places: Folders) -> int:
    with exclusive(places):
        debian.ensure_host_programs()
        build(places.cache)
    return 0


def run_up(_options: argparse.Namespace, places: Folders) -> int:
    require_root()
    with exclusive(places):
        debian.ensure_host_programs()
        lifecycle.up(places, build(places.cache, quiet=True))
    return 0


def run_down(_options: argparse.Namespace, places: Folders) -> int:
    require_root()
    with exclusive(places):
        lifecycle.down(places)
    return 0


def run_status(_options: argparse.Namespace, places: Folders) -> int:
    require_root()
    found = health.problems(places, Api(places))
    for component, problem in found.items():
        say(f"{component:<24} {problem or 'ok'}")
    return 1 if any(found.values()) else 0


def run_mesh_config(options: argparse.Namespace, places: Folders) -> int:
    require_root()
    if bool(options.assignments) != (options.action == "set"):
        raise LabError("Use 'mesh-config set KEY=VALUE…' or 'mesh-config reset'.")
    if options.action == "set":
        mesh_config.change(Api(places), options.assignments)
    else:
        mesh_config.reset(Api(places), places)
    return 0


def run_clean_namespace(options: argparse.Namespace, places: Folders) -> int:
    require_root()
    namespaces.clean(Api(places), options.namespace)
    return 0


def require_root() -> None:
    """Raise LabError unless this program may make network namespaces and mounts."""
    if os.geteuid() != 0:
        raise LabError("The lab makes network namespaces and mounts, for which it has to be root; try again with sudo.")
