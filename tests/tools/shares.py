# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared with the mesh by the hundred takes too long for every commit: each compares another quarter of it.

`make catalogue`, `make differential` and `make policies` compare all.
"""

from __future__ import annotations

import subprocess

from lab import module
from steps import ROOT

SHARES = 4
# Worlds at a time.
LANES = 4
MESHES, POLICIES = 300, 200


def of_commit() -> int:
    """Return the share of the commit that is checked out, from 0; 0 outside of a repository."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return int(found.stdout, 16) % SHARES if found.returncode == 0 else 0


def programs(share: int) -> dict[str, tuple[str, ...]]:
    """Return by title the programs of the lab that compare a share, each with its arguments."""
    which = f"share {share + 1} of {SHARES}"
    worlds = [name.rpartition("/")[2] for name in module("stage.scenario").group("catalogue")]
    return {
        f"Rules: worlds of the catalogue, {which}": (
            "catalogue",
            "judge",
            "--lanes",
            str(LANES),
            *worlds[share::SHARES],
        ),
        f"Model of Istio: random meshes, {which}": ("differential", "--meshes", *_range(MESHES, share)),
        f"Model of policies: random ones, {which}": ("policies", "--policies", *_range(POLICIES, share)),
    }


def _range(whole: int, share: int) -> tuple[str, str, str]:
    size = whole // SHARES
    return str(size), "--seed", str(1 + share * size)
