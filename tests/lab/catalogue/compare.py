# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a diagnosis: beside what a world expects, beside what Grafana really got, live beside offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stage.query import TENANT, Reply

# What offline.py leaves out.
EVERYTHING, CONFIGURATION = "with all witnesses", "by configuration alone"
MISS, FALSE_ALARM, OTHER = "miss", "false alarm", "other"


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


def offline(live: Mapping[str, Any], again: Mapping[str, Mapping[str, Any]], predicted: Mapping[str, Any]) -> list[str]:
    """How judging the saved snapshot differs from judging live, as sentences.

    again: the results by which witnesses were left out, of offline.py; with all left out the verdict is a prediction.
    predicted: its status and code where they are other ones, because a witness contradicts the configuration.
    """
    wrong = [
        f"offline {name} is another one: {again[EVERYTHING].get(name)!r}"
        for name in sorted({*live, *again[EVERYTHING]})
        if live.get(name) != again[EVERYTHING].get(name)
    ]
    same = _decision(live["verdict"])
    alone = {**same, **predicted}
    for left_out, result in again.items():
        found, allowed = _decision(result["verdict"]), [alone] if left_out == CONFIGURATION else [same, alone]
        if left_out != EVERYTHING and found not in allowed:
            wrong.append(f"{left_out} the verdict is {found} in place of {' or '.join(map(str, allowed))}")
        if left_out != EVERYTHING and result["verdict"]["certainty"] == "proved":
            wrong.append(f"{left_out} the verdict is called proved")
    return wrong


def _decision(verdict: Mapping[str, Any]) -> dict[str, str]:
    return {name: verdict[name] for name in ("status", "code")}
