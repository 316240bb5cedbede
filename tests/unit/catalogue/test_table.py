# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth table: how what is seen is put into words, and that every row which the project cites is there."""

from __future__ import annotations

import re
from datetime import date

import pytest
from catalogue import table, witness
from catalogue.witness import Sight
from stage import scenario
from steps import ROOT

CITING = ("plugins", "docs", "roles", "playbooks", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
CITATION = re.compile(r"truth-table\.md,?[\s\"']+(rows?|notes?)\s+((?:[\s\"',]|and|to|\([^)]*\)|\d[\w-]*)+)")
ROW = re.compile(r"\d[\w-]*")


def cited() -> dict[str, set[str]]:
    """The rows and notes that files cite, by which of both."""
    found: dict[str, set[str]] = {"row": set(), "note": set()}
    for top in CITING:
        paths = [ROOT / top] if (ROOT / top).is_file() else sorted((ROOT / top).rglob("*"))
        for path in paths:
            if path.suffix in (".py", ".md", ".yml") and path != table.PAGE:
                for what, listed in CITATION.findall(path.read_text(encoding="utf-8")):
                    found[what.rstrip("s")] |= set(ROW.findall(re.sub(r"\([^)]*\)", "", listed)))
    return found


def on_the_page() -> list[str]:
    head, line, *rows = re.findall(r"^\| (\S+) \|", table.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert (head, line) == ("row", "---")
    return rows


def test_citations_are_found() -> None:
    found = cited()
    assert {"0", "9b2", "12-ok", "19-tcp-new"} <= found["row"]
    assert {"4", "6"} <= found["note"]


@pytest.mark.parametrize("row", sorted(cited()["row"]))
def test_a_cited_row_is_on_the_page(row: str) -> None:
    """A number alone stands for all rows that begin with it, as 19 does for 19-tcp."""
    assert any(name == row or name.startswith(f"{row}-") for name in on_the_page())


def test_every_cited_note_is_written() -> None:
    notes = re.findall(r"^(\d+)\. ", table.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert cited()["note"] <= set(notes)


def test_the_page_has_every_row_in_their_order() -> None:
    assert on_the_page() == list(table.numbered())


def test_rows_have_numbers_of_their_own() -> None:
    names = [*scenario.names(), *scenario.group("catalogue")]
    rows = [row for name in names if (row := scenario.read(name).get("row"))]
    assert sorted(rows, key=table.order) == list(table.numbered())


def test_order_of_rows() -> None:
    assert sorted(["12-ok", "P-ha-def", "9b2", "0", "9", "0b"], key=table.order) == [
        "0",
        "0b",
        "9",
        "9b2",
        "12-ok",
        "P-ha-def",
    ]


def test_page() -> None:
    sight = Sight("503 UC body", "200", "503", "503", "cluster=outbound|9090||PROM", "no line")
    text = table.page({"0": "baseline"}, {"0": sight}, date(2026, 11, 24))
    assert "on 2026-11-24" in text
    row = next(line for line in text.splitlines() if line.startswith("| 0 |"))
    assert r"cluster=outbound\|9090\|\|PROM" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 9


@pytest.mark.parametrize(
    ("status", "body", "tenants", "words"),
    [
        (200, "{}", ("secret", "x"), "200 namespaces=secret,x"),
        (503, witness.REFUSED, (), "503 UC body"),
        (502, "", (), "502"),
        (0, "", (), "000"),
        (503, "no healthy\nupstream", (), "503 no healthy upstream"),
    ],
)
def test_answer_in_words(status: int, body: str, tenants: tuple[str, ...], words: str) -> None:
    assert witness.answer(status, body, tenants) == words


def test_line_in_words() -> None:
    older = {"start_time": "2026-11-24T10:37:10Z", "response_code": 200}
    line = {
        "start_time": "2026-11-24T10:37:11Z",
        "response_code": 503,
        "response_flags": "UC",
        "response_code_details": "upstream_reset_before_response_started{connection_termination}",
        "route_name": "allow_any",
        "upstream_cluster": "PassthroughCluster",
        "authority": witness.FOREIGN_HOST,
        "requested_server_name": None,
    }
    assert witness.newest([line, older]) == (
        "503 UC …{connection_termination} route=allow_any cluster=PassthroughCluster authority=PLP:8080"
    )
    assert witness.newest([]) == witness.NOTHING
