# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios are played side by side, none in the namespace of another, and only those that failed are heard."""

from __future__ import annotations

import sys
from pathlib import Path

import lanes
import pytest

# A scenario that meets another one in its namespace, or is called b, fails.
PLAY = """
import os, sys, time
name, place = sys.argv[1], os.environ["MESHOPS_STAGE_NAMESPACE"]
print(name, "plays in", place)
os.mkdir(place)
time.sleep(0.05)
os.rmdir(place)
sys.exit(name == "b")
"""


def test_each_lane_has_a_namespace_and_only_failures_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lanes, "access", dict)
    monkeypatch.setattr(lanes, "command", lambda name: [sys.executable, "-c", PLAY, name])
    assert lanes.side_by_side(["a", "b", "c", "d", "e"], 2) == ["Scenario b"]
    printed = capsys.readouterr().out
    assert "b plays in monitoring" in printed
    assert "a plays in" not in printed
    assert [f"== Scenario {name}: passed" in printed for name in "abcde"] == [True, False, True, True, True]
    assert "== Scenario b: FAILED (exit code 1)" in printed


# A scenario that starts another program, and is not done when a is.
ENDLESS = """
import os, subprocess, sys, time
if sys.argv[1] == "b":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10); open('survived', 'w')"])
    open("begun", "w").close()
    child.wait()
while not os.path.exists("begun"):
    time.sleep(0.01)
"""


def interrupted(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_interrupted_they_leave_no_program_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lanes, "access", dict)
    monkeypatch.setattr(lanes, "command", lambda name: [sys.executable, "-c", ENDLESS, name])
    monkeypatch.setattr(lanes, "ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lanes.side_by_side(["a", "b"], 2)
    assert Path("begun").exists()
    assert not Path("survived").exists()


def test_what_reaches_beyond_its_namespace_is_played_alone() -> None:
    assert lanes.alone(["host_rewrite", "registry_only", "rehearsal_killed"]) == ["registry_only", "rehearsal_killed"]
