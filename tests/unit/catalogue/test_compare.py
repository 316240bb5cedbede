# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue's judge: it must not pass a verdict that is wrong, nor one that contradicts what Grafana got."""

from __future__ import annotations

from typing import Any

import pytest
from catalogue import compare
from stage.query import Reply

RIGHT, LEAK, REFUSED = Reply(200, "", ("x",)), Reply(200, "", ("secret", "x")), Reply(503, "", ())


def result(status: str, code: str = "", *others: str, certainty: str = "proved", evidence: str = "") -> dict[str, Any]:
    return {
        "verdict": {"status": status, "code": code, "certainty": certainty, "summary": "Queries pass."},
        "findings": [{"code": entry, "evidence": [evidence]} for entry in filter(None, (code, *others))],
        "hops": [],
    }


@pytest.mark.parametrize(
    ("status", "reply", "mistake"),
    [
        ("healthy", RIGHT, ""),
        ("healthy", REFUSED, compare.MISS),
        ("healthy", LEAK, compare.MISS),
        ("at_risk", RIGHT, ""),
        ("at_risk", LEAK, ""),
        ("at_risk", REFUSED, compare.MISS),
        ("broken", REFUSED, ""),
        ("broken", LEAK, ""),
        ("broken", RIGHT, compare.FALSE_ALARM),
        ("inconclusive", REFUSED, ""),
        ("inconclusive", RIGHT, ""),
    ],
)
def test_verdict_beside_the_truth(status: str, reply: Reply, mistake: str) -> None:
    assert compare.with_truth(result(status), reply) == mistake


def test_diagnosis_as_expected() -> None:
    before = {
        "verdict": {"status": "broken", "code": "QP101"},
        "findings": ["QP502", "QP101"],
        "evidence": ["allow_any"],
        "summary": "Queries",
    }
    assert compare.with_expected(before, result("broken", "QP101", "QP502", evidence="route=allow_any")) == []


def test_every_difference_is_named() -> None:
    before = {
        "verdict": {"status": "healthy", "code": "", "certainty": "proved"},
        "findings": [],
        "evidence": ["allow_any"],
        "summary": "mTLS",
    }
    assert compare.with_expected(before, result("broken", "QP101", certainty="predicted")) == [
        "status is 'broken' in place of 'healthy'",
        "code is 'QP101' in place of ''",
        "certainty is 'predicted' in place of 'proved'",
        "the findings are ['QP101'] in place of []",
        "no line of evidence has 'allow_any'",
        "the summary does not have 'mTLS'",
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "kind"),
    [
        ("broken", "healthy", compare.MISS),
        ("inconclusive", "healthy", compare.MISS),
        ("healthy", "broken", compare.FALSE_ALARM),
        ("healthy", "inconclusive", compare.FALSE_ALARM),
        ("broken", "at_risk", compare.OTHER),
    ],
)
def test_kinds_of_mistakes(wanted: str, found: str, kind: str) -> None:
    assert compare.kind({"status": wanted}, result(found)) == kind


def again(whole: dict[str, Any], alone: dict[str, Any], **others: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {compare.EVERYTHING: whole, **others, compare.CONFIGURATION: alone}


def test_offline_alike() -> None:
    live = result("broken", "QP101")
    assert compare.offline(live, again(live, result("broken", "QP101", certainty="predicted")), {}) == []


def test_offline_another_verdict() -> None:
    live, other = result("broken", "QP101"), {**result("healthy"), "extra": 1}
    wrong = compare.offline(live, again(other, result("healthy"), without=result("at_risk", "QP101")), {})
    assert [sentence.partition(":")[0].partition(" is {")[0] for sentence in wrong] == [
        "offline extra is another one",
        "offline findings is another one",
        "offline verdict is another one",
        "without the verdict",
        "without the verdict is called proved",
        "by configuration alone the verdict",
        "by configuration alone the verdict is called proved",
    ]


def test_a_witness_that_contradicts_may_decide() -> None:
    live = result("inconclusive", "QP901", certainty="contradicted")
    alone = result("broken", "QP101", certainty="predicted")
    expected = {"status": "broken", "code": "QP101"}
    assert compare.offline(live, again(live, alone, without_one=live, without_other=alone), expected) == []
    assert compare.offline(live, again(live, alone), {}) != []
    assert compare.offline(live, again(live, live), expected) != []
