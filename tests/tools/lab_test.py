# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the mesh up, prove on it whatever needs a mesh, and take it down again whatever happened.

First every molecule scenario, two at a time where they allow it, then a share of what is compared with the mesh by the
hundred, at last the lab itself. Arguments name single scenarios; then nothing else is run, and they are played one by
one. With MESHOPS_LAB_KEEP=1 in the environment the mesh is left running, and not killed to see what it leaves behind.
What failed is said once more at the end, with its reasons.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import agent
import lanes
import recording
import shares
from lab import LAB, access, lab, program
from steps import ROOT, TOOLS, AbsentError, call, environment, step

# Scenarios at a time: more would be too many for two cores, and late.
SCENARIOS = 2


def kept() -> bool:
    """Tell whether the mesh is to be left running."""
    return os.environ.get("MESHOPS_LAB_KEEP") == "1"


def names(wanted: Sequence[str]) -> list[str]:
    """Return the scenarios to run: those that are wanted, or all.

    :raises AbsentError: there is none, or one that is wanted is not there.
    """
    found = sorted(path.parent.name for path in (ROOT / "extensions" / "molecule").glob("*/molecule.yml"))
    if not found:
        raise AbsentError("extensions/molecule holds no scenario: there is nothing to test")
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise AbsentError(f"no scenario is called {' or '.join(unknown)}; there are: {', '.join(found)}")
    return [name for name in found if name in wanted or not wanted]


def scenario(name: str) -> int:
    """Run one scenario from its beginning."""
    with lanes.fresh(access()) as env:
        return call(lanes.command(name), env=env)


def agent_tests() -> int:
    """Run all tests of the node agent, with those that start real containers."""
    return agent.run_tests("-tags", "lab", "-count", "1")


def trace() -> int:
    """Kill what hurts most, and prove that the lab can be repaired and leaves nothing behind. Takes the lab down."""
    command = [str(TOOLS / "python"), "-m", "pytest", "-q", "-m", "essential", "tests/lab/test_leaves_no_trace.py"]
    return call(command, env=environment(PYTHONPATH=str(LAB)))


def proofs(chosen: Sequence[str], everything: bool) -> list[str]:
    """Run the scenarios and, if everything is wanted, all the rest; return the titles of what failed."""
    if not everything:
        return unpassed((f"Scenario {name}", partial(scenario, name)) for name in chosen)
    alone = lanes.alone(chosen)
    failed = unpassed((f"Scenario {name}", partial(scenario, name)) for name in alone)
    failed += lanes.side_by_side([name for name in chosen if name not in alone], SCENARIOS)
    compared = shares.programs(shares.of_commit())
    failed += unpassed((title, partial(program, *command)) for title, command in compared.items())
    failed += unpassed([("Lab: the node agent with real containers", agent_tests)])
    return failed if kept() else failed + unpassed([("Lab: killed, it leaves no trace", trace)])


def unpassed(steps: Iterable[tuple[str, Callable[[], int]]]) -> list[str]:
    """Run steps one by one and return the titles of those that did not pass."""
    return [title for title, action in steps if not step(title, action)]


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that the lab is taken down on the way out."""
    raise KeyboardInterrupt


def main(wanted: Sequence[str]) -> int:
    """Return 0 only if the lab came up, every scenario passed and the lab went down cleanly."""
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        chosen = names(wanted)
    except AbsentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with recording.recorded(log):
            failed = prove(chosen, everything=not wanted)
        printed = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    # Last, because a CI keeps the end of what is printed.
    for title in failed:
        print("\n".join([f"== FAILED: {title}", *recording.reasons(printed, title)]))
    return 1 if failed else 0


def prove(chosen: Sequence[str], everything: bool) -> list[str]:
    """Bring the lab up, run what is chosen, take the lab down; return the titles of what failed."""
    failed = []
    try:
        started = step("Lab: build what is missing", lambda: lab("build")) and step("Lab: start", lambda: lab("up"))
        failed = proofs(chosen, everything) if started else ["Lab: start"]
    except KeyboardInterrupt:
        failed = ["Lab: interrupted"]
    finally:
        if not kept() and not step("Lab: stop", lambda: lab("down")):
            failed.append("Lab: stop")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
