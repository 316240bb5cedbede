# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a diagnosis: beside what a world expects, beside what Grafana really got, live beside offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stage.query import TENANT, Reply

MISS, FALSE_ALARM, OTHER = "miss", "false alarm", "other"
# What a verdict claims about a query.
PASSES = ("healthy", "at_risk")


def with_expected(before: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """How a diagnosis differs from what the world expects, as sentences."""
    wrong = []
    verdict = result["verdict"]
    for field, value in before["verdict"].items():
        if verdict[field] != value:
            wrong.append(f"{field} is {verdict[field]!r} in place of {value!r}")
    codes = sorted(finding["code"] for finding in result["findings"])
    if codes != sorted(before["findings"]):
        wrong.append(f"the findings are {codes} in place of {sorted(before['findings'])}")
    evidence = "\n".join(line for finding in result["findings"] for line in finding["evidence"])
    wrong += [f"no line of evidence has {text!r}" for text in before.get("evidence", []) if text not in evidence]
    if before.get("summary", "") not in verdict["summary"]:
        wrong.append(f"the summary does not have {before['summary']!r}")
    return wrong


def with_truth(result: Mapping[str, Any], reply: Reply) -> str:
    """MISS where queries fail and nothing is said, FALSE_ALARM where they pass and are called broken, else "".

    Queries pass if Grafana gets 200 with the series of its own tenant and of no other.
    """
    status = result["verdict"]["status"]
    sound = reply.status == 200 and reply.tenants == (TENANT,)
    if status == "healthy" and not sound:
        return MISS
    if status == "at_risk" and reply.status != 200:
        return MISS
    return FALSE_ALARM if status == "broken" and sound else ""


def kind(expected: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Which kind of mistake a wrong verdict is."""
    wanted, found = expected["status"], result["verdict"]["status"]
    if wanted != "healthy" and found == "healthy":
        return MISS
    return FALSE_ALARM if wanted == "healthy" and found != "healthy" else OTHER


def offline(live: Mapping[str, Any], again: Mapping[str, Mapping[str, Any]], without: Mapping[str, Any]) -> list[str]:
    """How judging the saved snapshot differs from judging live, as sentences.

    again: the results by what was read, of offline.py. without: the verdict that is expected without logs where it is
    another one.
    """
    wrong = [
        f"offline {name} is another one: {again['all'].get(name)!r}"
        for name in sorted({*live, *again["all"]})
        if live.get(name) != again["all"].get(name)
    ]
    verdict = again["without logs"]["verdict"]
    wanted = {**{name: live["verdict"][name] for name in ("status", "code")}, **without}
    wrong += [
        f"without logs {name} is {verdict[name]!r} in place of {value!r}"
        for name, value in wanted.items()
        if verdict[name] != value
    ]
    if verdict["certainty"] == "proved":
        wrong.append("without logs the verdict is still called proved")
    return wrong
