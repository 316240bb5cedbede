# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the mesh up, run every molecule scenario on it, take it down again whatever happened."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import tree
from steps import ROOT, TOOLS, AbsentError, call, environment, step

PYTHON = str(TOOLS / "python")


def lab(verb: str) -> int:
    """Have the lab's own program do ``verb``: build, up, down or status."""
    if not (ROOT / "tests" / "lab" / "meshlab" / "__main__.py").exists():
        raise AbsentError("tests/lab/meshlab is not there: without the lab there is nothing to test on")
    return call([PYTHON, "-m", "meshlab", verb], env=environment(PYTHONPATH=str(ROOT / "tests" / "lab")))


def scenarios() -> int:
    """Run all scenarios against the lab's API server."""
    if not any((ROOT / "extensions" / "molecule").glob("*/molecule.yml")):
        raise AbsentError("extensions/molecule holds no scenario: there is nothing to test")
    state = Path(os.environ.get("MESHOPS_LAB_STATE") or "/var/tmp/meshops-lab")
    kubeconfig = state / "kubeconfig"
    if not kubeconfig.is_file():
        raise AbsentError(f"the lab is up but wrote no {kubeconfig}")
    env = environment(
        KUBECONFIG=str(kubeconfig),
        K8S_AUTH_KUBECONFIG=str(kubeconfig),
        ANSIBLE_COLLECTIONS_PATH=str(tree.live()),
    )
    return call([str(TOOLS / "molecule"), "test", "--all"], env=env)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that the lab is taken down on the way out."""
    raise KeyboardInterrupt


def main() -> int:
    """Return 0 only if the lab came up, every scenario passed and the lab went down cleanly."""
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    passed = False
    try:
        passed = (
            step("Lab: build what is missing", lambda: lab("build"))
            and step("Lab: start the mesh", lambda: lab("up"))
            and step("Lab: scenarios (molecule)", scenarios)
        )
    except KeyboardInterrupt:
        print("== Lab: interrupted, taking the mesh down")
    finally:
        down = step("Lab: stop the mesh", lambda: lab("down"))
    return 0 if passed and down else 1


if __name__ == "__main__":
    sys.exit(main())
