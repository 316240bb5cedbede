# SPDX-License-Identifier: GPL-3.0-or-later
"""Four commits with different shares compare all that there is, and nothing twice."""

from __future__ import annotations

import shares
from lab import module


def values(argument: str) -> list[tuple[int, int]]:
    """First seed and number of what each share compares."""
    commands = [command for share in range(shares.SHARES) for command in shares.programs(share).values()]
    found = [dict(zip(command[1::2], command[2::2], strict=True)) for command in commands if argument in command]
    return [(int(options["--seed"]), int(options[argument])) for options in found]


def test_every_world_is_in_one_share() -> None:
    worlds = [name.rpartition("/")[2] for name in module("stage.scenario").group("catalogue")]
    commands = [next(iter(shares.programs(share).values())) for share in range(shares.SHARES)]
    assert len(worlds) > 100
    assert sorted(world for command in commands for world in command[4:]) == sorted(worlds)


def test_shares_of_what_is_random_follow_one_another() -> None:
    assert values("--meshes") == [(1, 75), (76, 75), (151, 75), (226, 75)]
    assert values("--policies") == [(1, 50), (51, 50), (101, 50), (151, 50)]


def test_a_commit_has_a_share() -> None:
    assert shares.of_commit() in range(shares.SHARES)
