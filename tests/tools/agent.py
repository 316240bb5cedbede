# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's node agent is written in Go: how the checks find Go, and what they run with it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab import LAB, module
from steps import ROOT, AbsentError, call

AGENT = LAB / "agent"
WHERE_FROM = "because Go is not installed here (make lab-up fetches it)"


def go() -> str | None:
    """Return the go command that the lab is built with; None where there is none yet."""
    command: str | None = module("meshlab.build").find_go(module("meshlab.settings").folders().cache)
    return command


def run_tests(*arguments: str, packages: Sequence[str] = ("./...",)) -> int:
    """Run the agent's tests, with further arguments of ``go test``; return its exit code.

    :raises AbsentError: Go is not there.
    """
    return call([_go(), "test", *arguments, *packages], cwd=AGENT)


def check() -> int:
    """Check the format of all Go sources of the lab, and the agent, its tests too, for suspicious constructs.

    The other Go modules only pin what is built from elsewhere; to vet them would be to compile Kubernetes.
    :raises AbsentError: Go or the agent is not there.
    """
    if not any(AGENT.rglob("*.go")):
        raise AbsentError("tests/lab/agent holds no Go source")
    command = [str(Path(_go()).with_name("gofmt")), "-l", str(LAB)]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode or listing.stdout:
        print(f"gofmt would change:\n{listing.stdout}{listing.stderr}", end="")
        return 1
    return call([_go(), "vet", "./..."], cwd=AGENT) or call([_go(), "vet", "-tags", "lab", "./..."], cwd=AGENT)


def _go() -> str:
    found = go()
    if found is None:
        raise AbsentError(f"the node agent cannot be checked, {WHERE_FROM}")
    return found
