# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the proof worth something? Queries are answered here, and tenants or mTLS are broken: the proof has to fail."""

from __future__ import annotations

from collections.abc import Iterable

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders
from stage import scenario

from catalogue.diagnosis import Result, probe
from catalogue.run import establish

# What the person who asks for the proof knows, whatever became of the proxy.
KNOWN = {"tenant_label": "namespace", "tenant": "x", "other_tenant": "secret"}


def worlds() -> list[str]:
    """Those that say what the probe has to find."""
    names = [*scenario.group("mutations"), *scenario.group("catalogue")]
    return [name for name in names if "probe" in scenario.read(name)]


def run(api: Api, places: Folders, names: Iterable[str]) -> int:
    """Probe worlds, print how each went and the counts; return the number of those that went wrong."""
    outcomes = []
    for name in names:
        try:
            establish(api, places, name)
            result = probe(**KNOWN)
        except LabError as error:
            result = {"msg": str(error)}
        outcomes.append(as_expected(name, result))
        print(f"{'ok' if outcomes[-1] else 'wrong':5} {name}: {result.get('msg')}", flush=True)
    broken = sum(1 for name in names if scenario.read(name)["probe"]["result"] == "failed")
    print(f"{sum(outcomes)} of {len(outcomes)} worlds probed as expected; {broken} of them have to fail")
    return outcomes.count(False)


def as_expected(name: str, result: Result) -> bool:
    """Whether the probe had the result, and for the reason, that the world is about."""
    expected = scenario.read(name)["probe"]
    unkept = [check["name"] for check in result.get("checks", []) if check["result"] == expected["result"]]
    return result.get("result") == expected["result"] and any(
        check.startswith(expected.get("check", "")) for check in unkept
    )
