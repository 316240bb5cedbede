# SPDX-License-Identifier: GPL-3.0-or-later
"""A CI keeps the end of what is printed: there the reasons of a failure are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import recording

PRINTED = """\
== Scenario a
fatal: [localhost]: FAILED! => {"msg": "of another step"}
== Scenario a: FAILED (exit code 1), 1.0 s
== Scenario b
TASK [Diagnose] ***
fatal: [localhost]: FAILED! => {"msg": "the reason"}

PLAY RECAP ***
== Scenario b: FAILED (exit code 1), 2.0 s
== Silent
nothing tells
== Silent: FAILED (exit code 1), 2.0 s
"""
PROGRAM = """
import subprocess, sys
from pathlib import Path
import recording
with recording.recorded(Path(sys.argv[1])):
    print("ours")
    subprocess.run([sys.executable, "-c", "import sys; print('a child'); print('its error', file=sys.stderr)"])
print("after")
"""


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("Scenario b", ['fatal: [localhost]: FAILED! => {"msg": "the reason"}']),
        ("Silent", ["nothing tells"]),
        ("Never begun", []),
    ],
)
def test_a_step_s_own_telling_lines_are_found(title: str, lines: list[str]) -> None:
    assert recording.reasons(PRINTED, title) == lines


def test_a_long_line_is_cut() -> None:
    printed = "== x\nerror " + "y" * 9999 + "\n== x: FAILED"
    assert [len(line) for line in recording.reasons(printed, "x")] == [recording.WIDTH]


def test_what_children_print_is_kept_and_still_printed(tmp_path: Path) -> None:
    log, tools = tmp_path / "log", Path(recording.__file__).parent
    command = [sys.executable, "-u", "-c", PROGRAM, str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tools)
    assert log.read_text(encoding="utf-8") == "ours\na child\nits error\n"
    assert done.stdout == "ours\na child\nits error\nafter\n"
