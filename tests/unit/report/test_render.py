# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks as lines and as Markdown, with hostile text in every place."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report import command, render
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Command,
    Drawing,
    Heading,
    Item,
    Line,
    Sentence,
)
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.inert import MAX_LENGTH, inert

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "safe\r\x1b[2Kforged",
    "8-bit control": "a\x9b31mb",
    "title of the window": "\x1b]0;owned\x07",
    "new line": "one\nTASK [forged] ****\nok: [localhost]",
    "backspace": "delete\b\b\b\b\b\bcreate",
    "direction": "user\u202egnp.exe",
    "no width": "pro\u200bmetheus",
    "look-alike": "pr\u043emetheus",
    "separator": "one\u2028two",
    "null": "a\x00b",
    "surrogate": "a\udcffb",
    "template": "{{ lookup('pipe', 'id') }} {% for x in y %}",
    "markup": "<script>alert(1)</script> [x](javascript:1) `code` **bold** | cell | &lt;",
    "fence": "```\n# forged",
    "long": "x" * 100_000,
    "wide word": "y" * 400,
}


def report_of(text: str) -> list[Block]:
    lines = (Line("  ", "  ", text), Line("    | ", "    | ", text))
    return [Sentence(text, strong=True), Heading(text), Item(text), Item(text, level=1), Drawing(lines), Sentence(text)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_lines_are_printable_ascii_and_fit(text: str) -> None:
    lines = render.to_lines(report_of(text), width=99)
    assert all(re.fullmatch(r"[ -~]{0,99}", line) for line in lines)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_text_stays_in_its_own_paragraph(text: str) -> None:
    lines = render.to_lines([Item(text), Item("next")])
    assert [line for line in lines if not line.startswith("    ")] == [lines[0], "  - next"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_markdown_holds_no_markup_from_the_cluster(text: str) -> None:
    shown = render.to_markdown([Sentence(text), Item(text), Heading(text)])
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>\[\]*`|&]", shown)
    assert re.fullmatch(r"[ -~\n]*", shown)


def test_markdown_drawing_cannot_close_its_own_fence() -> None:
    shown = render.to_markdown([Drawing((Line("", "", "```` # out"),)), Command("echo ```")])
    assert shown == "`````text\n```` # out\n`````\n````console\necho ```\n````\n"


def test_what_was_hidden_is_shown() -> None:
    assert inert(HOSTILE["colour"]) == r"\x1b[31mred\x1b[0m"
    assert inert(HOSTILE["direction"]) == r"user\u202egnp.exe"
    assert inert(HOSTILE["look-alike"]) == r"pr\u043emetheus"


def test_long_text_says_how_much_is_missing() -> None:
    shown = inert("x" * (MAX_LENGTH + 5))
    assert shown == "x" * MAX_LENGTH + "... (5 more characters)"


def test_ordinary_text_is_left_alone() -> None:
    text = "GET /api/v1/query?query=up%7Bnamespace%3D%22x%22%7D 503 UC outbound|9090||prometheus {a: [1]}"
    assert inert(text) == text


def test_nested_items_are_indented_under_their_parent() -> None:
    assert render.to_lines([Item("a", mark="1."), Item("b c", level=1)], width=10) == [
        "  1. a",
        "      - b",
        "        c",
    ]


def test_a_command_stays_on_one_line() -> None:
    text = "ansible-playbook " + "-e a=b " * 40
    assert render.to_lines([Command(text)]) == [f"  {text.strip()}"]


def test_command_leaves_out_what_is_empty() -> None:
    variables = {"grafana_namespace": "m", "datasource_uid": "", "accept_effects": [], "protocol": None}
    assert command.playbook("verify", variables) == (
        "ansible-playbook meshops.istio_remediation.verify -e grafana_namespace=m"
    )


def test_command_takes_a_list_as_ansible_splits_it() -> None:
    variables = {"accept_effects": ["denies_all:AuthorizationPolicy/m/a", "loses_l7:Service/m/b"]}
    assert command.playbook("remediate", variables).endswith(
        "-e accept_effects=denies_all:AuthorizationPolicy/m/a,loses_l7:Service/m/b"
    )


@pytest.mark.parametrize(
    "value", ["a b", "$(id)", "`id`", "a;id", "it's", 'say "hi"', "{{ x }}", "{a: b}", "a\nb", "a=b c=d", "-e x=y", "*"]
)
def test_command_quotes_for_shell_and_for_ansible(value: str) -> None:
    words = shlex.split(command.playbook("diagnose", {"datasource_url": value}))
    assert words[:3] == ["ansible-playbook", "meshops.istio_remediation.diagnose", "-e"]
    assert [json.loads(words[3])] == [{"datasource_url": value}]
