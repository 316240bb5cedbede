# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the mesh up, run every molecule scenario on it, take it down again whatever happened.

Arguments name single scenarios. With MESHOPS_LAB_KEEP=1 in the environment the mesh is left running.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
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
    return [name for name in found if not wanted or name in wanted]


def scenarios(chosen: Sequence[str]) -> int:
    """Run scenarios one after the other against the lab's API server; a failure does not stop the next one."""
    state = Path(os.environ.get("MESHOPS_LAB_STATE") or "/var/tmp/meshops-lab")
    kubeconfig = state / "kubeconfig"
    if not kubeconfig.is_file():
        raise AbsentError(f"the lab is up but wrote no {kubeconfig}")
    env = environment(
        KUBECONFIG=str(kubeconfig),
        K8S_AUTH_KUBECONFIG=str(kubeconfig),
        ANSIBLE_COLLECTIONS_PATH=str(tree.live()),
    )
    command = [str(TOOLS / "molecule"), "test", "--no-report", "--scenario-name"]
    failed = [name for name in chosen if not step(f"Scenario {name}", partial(call, [*command, name], env=env))]
    if failed:
        print(f"   {len(failed)} of {len(chosen)} scenarios failed: {', '.join(failed)}")
    return 1 if failed else 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that the lab is taken down on the way out."""
    raise KeyboardInterrupt


def main(wanted: Sequence[str]) -> int:
    """Return 0 only if the lab came up, every scenario passed and the lab went down cleanly."""
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    passed, down = False, True
    try:
        chosen = names(wanted)
    except AbsentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        passed = (
            step("Lab: build what is missing", lambda: lab("build"))
            and step("Lab: start the mesh", lambda: lab("up"))
            and step("Lab: scenarios", lambda: scenarios(chosen))
        )
    except KeyboardInterrupt:
        print("== Lab: interrupted")
    finally:
        if os.environ.get("MESHOPS_LAB_KEEP") != "1":
            down = step("Lab: stop the mesh", lambda: lab("down"))
    return 0 if passed and down else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
