# SPDX-License-Identifier: GPL-3.0-or-later
"""How the checks start, use and stop the lab."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import tool_environment
import tree
from steps import ROOT, TOOLS, AbsentError, call, environment

LAB = ROOT / "tests" / "lab"
STATE = Path(os.environ.get("MESHOPS_LAB_STATE") or "/var/tmp/meshops-lab")


def module(name: str) -> ModuleType:
    """Return a module of the lab that needs no mesh."""
    if str(LAB) not in sys.path:
        sys.path.insert(0, str(LAB))
    return importlib.import_module(name)


def lab(verb: str) -> int:
    """Have the lab's own program do ``verb`` (build, up, down or status) and return its exit code.

    :raises AbsentError: this checkout holds no lab.
    """
    if not (LAB / "meshlab" / "__main__.py").exists():
        raise AbsentError("tests/lab/meshlab is not there: without the lab there is nothing to test on")
    return call([str(TOOLS / "python"), "-m", "meshlab", verb], env=environment(PYTHONPATH=str(LAB)))


def program(name: str, *arguments: str) -> int:
    """Run a package of tests/lab with the checkout visible under the collection's own name; return its exit code.

    :raises AbsentError: no lab is up.
    """
    path = os.pathsep.join([str(LAB), str(ROOT / "tests" / "unit"), str(tree.live())])
    return call([str(TOOLS / "python"), "-m", name, *arguments], env={**access(), "PYTHONPATH": path})


def access() -> dict[str, str]:
    """Return the environment in which Ansible's programs find the collection and the lab's API server.

    :raises AbsentError: the lab wrote no kubeconfig.
    """
    kubeconfig = STATE / "kubeconfig"
    if not kubeconfig.is_file():
        raise AbsentError(f"{kubeconfig} is not there: is the lab up? (make lab-up)")
    return environment(
        ANSIBLE_COLLECTIONS_PATH=str(tree.live()),
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        ANSIBLE_LOCALHOST_WARNING="false",
        K8S_AUTH_KUBECONFIG=str(kubeconfig),
        GRAFANA_TOKEN="meshops-lab-grafana-token",
        KUBECONFIG=str(kubeconfig),
        MESHOPS_MITMDUMP=str(tool_environment.ensure(tool_environment.MITMPROXY) / "bin" / "mitmdump"),
    )
