# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks cannot pass by accident."""

from __future__ import annotations

import sys

import pytest
import steps


def absent() -> int:
    raise steps.AbsentError("there is nothing to check")


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, False), (-9, False)])
def test_step_passes_only_with_exit_code_zero(code: int, passed: bool) -> None:
    assert steps.step("x", lambda: steps.call([sys.executable, "-c", "pass"]) or code) is passed


def test_absent_input_fails_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.step("x", absent) is False
    assert "== x: FAILED: there is nothing to check" in capsys.readouterr().out


def test_absent_program_is_named() -> None:
    with pytest.raises(steps.AbsentError, match=r"no-such-program cannot be started"):
        steps.call(["no-such-program"])
