# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job on the lab, as a user runs it: the runbook diagnoses, fixes and proves.

Arguments are handed on to ansible-playbook, for instance ``--check --diff``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab import access
from steps import ROOT, TOOLS, AbsentError, call, step

PLAYBOOK = "meshops.istio_remediation.runbook"


def runbook(arguments: Sequence[str]) -> int:
    """Run the runbook against the lab and return ansible-playbook's exit code.

    :raises AbsentError: the playbook or the lab's kubeconfig is not there.
    """
    if not (ROOT / "playbooks" / "runbook.yml").is_file():
        raise AbsentError("playbooks/runbook.yml is not there: there is nothing to show")
    return call([str(TOOLS / "ansible-playbook"), PLAYBOOK, *arguments], env=access())


if __name__ == "__main__":
    sys.exit(0 if step("Demo: the runbook", lambda: runbook(sys.argv[1:])) else 1)
