# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import example
import pytest


def test_the_example_is_rewritten_a_line_for_each_value_and_for_everyone_to_read(tmp_path: Path) -> None:
    saved = tmp_path / "x.json"
    saved.write_text('{"a":[1,"\u00e9"]}', encoding="utf-8")
    saved.chmod(0o600)
    example.legible(saved)
    assert saved.read_text(encoding="utf-8") == '{\n "a": [\n  1,\n  "\u00e9"\n ]\n}\n'
    assert saved.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("codes", "failed", "asked"), [([0, 0, 0], 0, 3), ([0, 2, 0], 2, 2)])
def test_queries_end_with_the_first_that_could_not_be_asked(
    monkeypatch: pytest.MonkeyPatch, codes: list[int], failed: int, asked: int
) -> None:
    monkeypatch.setattr(example.time, "sleep", lambda _seconds: None)
    left = iter(codes)
    assert example.queries(lambda: next(left)) == failed
    assert len(list(left)) == len(codes) - asked


def test_what_ships_is_legible() -> None:
    text = example.EXAMPLE.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
