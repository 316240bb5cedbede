# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario is run from its beginning, and the lab is taken down whatever happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import lab_test
import pytest
import steps

# What is compared with the mesh by the hundred, after the scenarios.
COMPARED = ["catalogue", "differential", "policies"]


def absent() -> int:
    raise steps.AbsentError("there is nothing to check")


def interrupted() -> int:
    raise KeyboardInterrupt


def test_molecule_never_meets_what_an_earlier_run_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def molecule(_argv: Sequence[str], env: Mapping[str, str]) -> int:
        folder = Path(env["MOLECULE_EPHEMERAL_DIRECTORY"])
        assert not list(folder.iterdir())
        (folder / "state.yml").write_text("prepared: true\n", encoding="utf-8")
        folders.append(folder)
        return 0

    monkeypatch.setattr(lab_test, "call", molecule)
    monkeypatch.setattr(lab_test, "access", dict)
    assert [lab_test.scenario("baseline"), lab_test.scenario("baseline")] == [0, 0]
    assert len(folders) == 2
    assert not any(folder.exists() for folder in folders)


class Lanes:
    """The lanes in a test: scenario b reaches beyond its namespace."""

    def __init__(self, said: list[str], code: int = 0) -> None:
        self.said, self.code = said, code

    def alone(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name == "b"]

    def side_by_side(self, names: Sequence[str], lanes: int) -> list[str]:
        self.said.append(f"{' and '.join(names)}, {lanes} at a time")
        return [f"Scenario {name}" for name in names if self.code]


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the lab by a list of what was asked of it, with three scenarios; what proves the lab passes."""
    asked: list[str] = []
    monkeypatch.setattr(lab_test, "lab", lambda verb: asked.append(verb) or 0)
    monkeypatch.setattr(lab_test, "names", lambda wanted: list(wanted) or ["a", "b", "c"])
    monkeypatch.setattr(lab_test, "lanes", Lanes(asked))
    monkeypatch.setattr(lab_test, "program", lambda name, *_options: asked.append(name) or 0)
    monkeypatch.setattr(lab_test, "agent_tests", lambda: asked.append("test the agent") or 0)
    monkeypatch.setattr(lab_test, "trace", lambda: asked.append("kill") or 0)
    monkeypatch.setattr(lab_test.signal, "signal", lambda *_arguments: None)
    monkeypatch.delenv("MESHOPS_LAB_KEEP", raising=False)
    return asked


@pytest.mark.parametrize(
    ("ending", "code"),
    [(lambda: 0, 0), (lambda: 1, 1), (absent, 1), (interrupted, 1)],
    ids=["passed", "failed", "absent", "interrupted"],
)
def test_lab_goes_down_however_the_scenarios_end(
    verbs: list[str], monkeypatch: pytest.MonkeyPatch, ending: Callable[[], int], code: int
) -> None:
    monkeypatch.setattr(lab_test, "scenario", lambda _name: ending())
    assert lab_test.main(["a"]) == code
    assert verbs == ["build", "up", "down"]


@pytest.mark.parametrize("proof", ["scenario", "lanes", "program", "agent_tests", "trace"])
def test_each_proof_must_pass_and_none_stops_another(
    verbs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], proof: str
) -> None:
    monkeypatch.setattr(lab_test, "scenario", lambda name: verbs.append(f"scenario {name}") or 0)
    assert lab_test.main([]) == 0
    played = ["scenario b", "a and c, 2 at a time"]
    assert verbs == ["build", "up", *played, *COMPARED, "test the agent", "kill", "down"]
    monkeypatch.setattr(lab_test, proof, Lanes(verbs, 1) if proof == "lanes" else lambda *_arguments: 1)
    assert lab_test.main([]) == 1
    assert re.search("^== FAILED: ", capsys.readouterr().out, re.MULTILINE)


def test_lab_that_does_not_go_down_fails_the_test(monkeypatch: pytest.MonkeyPatch, verbs: list[str]) -> None:
    monkeypatch.setattr(lab_test, "scenario", lambda _name: 0)
    monkeypatch.setattr(lab_test, "lab", lambda verb: verbs.append(verb) or int(verb == "down"))
    assert lab_test.main([]) == 1


def test_lab_is_kept_on_request(monkeypatch: pytest.MonkeyPatch, verbs: list[str]) -> None:
    monkeypatch.setenv("MESHOPS_LAB_KEEP", "1")
    monkeypatch.setattr(lab_test, "scenario", lambda _name: 0)
    assert lab_test.main([]) == 0
    assert verbs == ["build", "up", "a and c, 2 at a time", *COMPARED, "test the agent"]
