# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on the lab, as a user does it: queries die; the cause is found, fixed, and the fix is proved.

Every command is shown before it runs. The last one, which takes the fix back, is only shown.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from functools import partial

from lab import access
from steps import ROOT, TOOLS, AbsentError, call, step

QUESTION = ("-e", "grafana_namespace=monitoring", "-e", "datasource_uid=tenant-x")


def playbook(name: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our playbooks on the lab's query path."""
    return ["ansible-playbook", f"meshops.istio_remediation.{name}", *QUESTION, *arguments]


def shown(command: list[str], env: Mapping[str, str]) -> int:
    """Show a command, run it and return its exit code."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    program = str(TOOLS / command[0])
    return call([program, *command[1:]], env=env)


def main() -> int:
    """Return 0 only if every step did what it promises.

    :raises AbsentError: the lab is not up.
    """
    env = access()
    stage = partial(call, env={**env, "PYTHONPATH": str(ROOT / "tests" / "lab")})
    python = str(TOOLS / "python")
    steps = (
        ("Demo 1/5: a Grafana whose queries die", lambda: stage([python, "-m", "stage", "set"])),
        ("Demo 2/5: why? (nothing is changed)", lambda: shown(playbook("runbook"), env)),
        (
            "Demo 3/5: what would the fix change?",
            lambda: shown(playbook("remediate", "-e", "remedy=host_rewrite", "--check", "--diff"), env),
        ),
        ("Demo 4/5: fix it", lambda: shown(playbook("remediate", "-e", "remedy=host_rewrite"), env)),
        ("Demo 5/5: prove it", lambda: shown(playbook("verify"), env)),
        ("Demo: what a user sees now", lambda: stage([python, "-m", "stage", "expect", "{status: 200, tenants: [x]}"])),
    )
    if not all(step(title, action) for title, action in steps):
        return 1
    print("\nTo take the fix back and see the failure again:")
    for name in ("ANSIBLE_COLLECTIONS_PATH", "GRAFANA_TOKEN", "K8S_AUTH_KUBECONFIG"):
        print(f"  export {name}={shlex.quote(env[name])}")
    rollback = playbook("rollback")
    print(f"  {shlex.join([str((TOOLS / rollback[0]).relative_to(ROOT)), *rollback[1:]])}")
    print("To stop the mesh: make lab-down")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AbsentError as error:
        sys.exit(f"error: {error}")
