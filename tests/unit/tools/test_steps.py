# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks cannot pass by accident, and the lab is taken down whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable

import lab_test
import pytest
import steps


def absent() -> int:
    raise steps.AbsentError("there is nothing to check")


def interrupted() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, False), (-9, False)])
def test_step_passes_only_with_exit_code_zero(code: int, passed: bool) -> None:
    assert steps.step("x", lambda: steps.call([sys.executable, "-c", "pass"]) or code) is passed


def test_absent_input_fails_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.step("x", absent) is False
    assert "== x: FAILED: there is nothing to check" in capsys.readouterr().out


def test_absent_program_is_named() -> None:
    with pytest.raises(steps.AbsentError, match=r"no-such-program cannot be started"):
        steps.call(["no-such-program"])


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the lab by a list of what was asked of it, and let there be one scenario; what proves the lab passes."""
    asked: list[str] = []
    monkeypatch.setattr(lab_test, "lab", lambda verb: asked.append(verb) or 0)
    monkeypatch.setattr(lab_test, "names", lambda _wanted: ["a"])
    monkeypatch.setattr(lab_test, "agent_tests", lambda: asked.append("test the agent") or 0)
    monkeypatch.setattr(lab_test, "trace", lambda: asked.append("kill") or 0)
    monkeypatch.setattr(lab_test.signal, "signal", lambda *_arguments: None)
    monkeypatch.delenv("MESHOPS_LAB_KEEP", raising=False)
    return asked


@pytest.mark.parametrize(
    ("scenarios", "code"),
    [(lambda: 0, 0), (lambda: 1, 1), (absent, 1), (interrupted, 1)],
    ids=["passed", "failed", "absent", "interrupted"],
)
def test_lab_goes_down_however_the_scenarios_end(
    verbs: list[str], monkeypatch: pytest.MonkeyPatch, scenarios: Callable[[], int], code: int
) -> None:
    monkeypatch.setattr(lab_test, "scenarios", lambda _chosen: scenarios())
    assert lab_test.main(["a"]) == code
    assert verbs == ["build", "up", "down"]


@pytest.mark.parametrize("proof", ["scenarios", "agent_tests", "trace"])
def test_each_proof_must_pass_and_none_stops_another(
    verbs: list[str], monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    monkeypatch.setattr(lab_test, "scenarios", lambda _chosen: verbs.append("scenarios") or 0)
    assert lab_test.main([]) == 0
    assert verbs == ["build", "up", "scenarios", "test the agent", "kill", "down"]
    monkeypatch.setattr(lab_test, proof, lambda *_chosen: 1)
    assert lab_test.main([]) == 1


def test_lab_that_does_not_go_down_fails_the_test(monkeypatch: pytest.MonkeyPatch, verbs: list[str]) -> None:
    monkeypatch.setattr(lab_test, "scenarios", lambda _chosen: 0)
    monkeypatch.setattr(lab_test, "lab", lambda verb: verbs.append(verb) or int(verb == "down"))
    assert lab_test.main([]) == 1


def test_lab_is_kept_on_request(monkeypatch: pytest.MonkeyPatch, verbs: list[str]) -> None:
    monkeypatch.setenv("MESHOPS_LAB_KEEP", "1")
    monkeypatch.setattr(lab_test, "scenarios", lambda _chosen: 0)
    assert lab_test.main([]) == 0
    assert verbs == ["build", "up", "test the agent"]
