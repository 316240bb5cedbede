# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what a person sees when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab import cli, progress


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MESHOPS_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MESHOPS_LAB_STATE", str(tmp_path / "state"))


@pytest.mark.parametrize(
    "arguments", [["up"], ["down"], ["status"], ["mesh-config", "reset"], ["clean-namespace", "x"]]
)
def test_the_lab_wants_root(monkeypatch, capsys, arguments: list[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cli.main(arguments) == 1
    assert "try again with sudo" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["status"], ["mesh-config", "reset"], ["clean-namespace", "x"]])
def test_no_lab_is_one_sentence(monkeypatch, capsys, arguments: list[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err == "meshlab: There is no lab on this machine; start one with 'make lab-up'.\n"


@pytest.mark.parametrize("arguments", [["mesh-config", "set"], ["mesh-config", "reset", "a=b"]])
def test_mesh_config_says_how_it_is_used(monkeypatch, capsys, arguments: list[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert cli.main(arguments) == 1
    assert "mesh-config set KEY=VALUE" in capsys.readouterr().err


def test_a_step_is_one_line_with_its_time(capsys) -> None:
    with progress.step("working"):
        pass
    assert capsys.readouterr().out == "working … 0.0 s\n"


def test_a_failed_step_says_so(capsys) -> None:
    with pytest.raises(ZeroDivisionError), progress.step("working"):
        raise ZeroDivisionError
    assert capsys.readouterr().out == "working … failed\n"


@pytest.mark.parametrize(("duration", "text"), [(0.31, "0.3 s"), (312.4, "312 s")])
def test_seconds(duration: float, text: str) -> None:
    assert progress.seconds(duration) == text
