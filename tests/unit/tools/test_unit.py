# SPDX-License-Identifier: GPL-3.0-or-later
"""`make unit` fails where any test fails, and says which tests it could not run."""

from __future__ import annotations

import agent
import pytest
import unit


@pytest.mark.parametrize(("python", "go", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_both_languages_must_pass(monkeypatch: pytest.MonkeyPatch, python: int, go: int, code: int) -> None:
    monkeypatch.setattr(unit, "call", lambda _argv: python)
    monkeypatch.setattr(agent, "go", lambda: "go")
    monkeypatch.setattr(agent, "run_tests", lambda: go)
    assert unit.main() == code


def test_without_go_it_says_what_did_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unit, "call", lambda _argv: 0)
    monkeypatch.setattr(agent, "go", lambda: None)
    assert unit.main() == 0
    assert "NOT RUN: the unit tests of the lab's node agent, because Go is not installed" in capsys.readouterr().out
