# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes through worlds: each is brought about, asked for the truth, diagnosed, saved, and judged again offline."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders
from stage import query, scenario, setting

from catalogue import compare
from catalogue.diagnosis import Result, diagnose

# Envoy writes its log every second.
FLUSHED = 1.4
PATIENCE = 4.0


class Judged(NamedTuple):
    """A world and what came of it. wrong: sentences. mistake: "", or the kind of it (compare.py)."""

    name: str
    result: Result | None
    wrong: list[str]
    mistake: str


class Tally(NamedTuple):
    """How many worlds were judged, and how many of them wrongly."""

    judged: int
    wrong: int
    misses: int
    false_alarms: int


def judge(api: Api, places: Folders, name: str, snapshots: Path) -> Judged:
    """Bring a world about, diagnose it and compare; its snapshot is saved.

    What is wrong counts if it is so twice: a busy machine writes logs late, and restarts sidecars.
    """
    try:
        reply = establish(api, places, name)
        judged = look(name, reply, snapshots)
        if judged.wrong:
            judged = look(name, ask_again(api, places, name, PATIENCE), snapshots)
    except LabError as error:
        return Judged(name, None, [str(error)], compare.OTHER)
    return judged


def look(name: str, reply: query.Reply, snapshots: Path) -> Judged:
    """Diagnose the world as it is and compare. reply: what Grafana got in it. Raises LabError."""
    data = scenario.read(name)
    before = data["before"]
    result = diagnose(save_snapshot=str(snapshots / f"{name.rpartition('/')[2]}.json"))
    wrong = compare.with_expected(before, result)
    mistake = compare.kind(before["verdict"], result) if wrong else ""
    untrue = compare.with_truth(result, reply)
    if untrue and not data.get("open_connections"):
        wrong.append(f"it says {result['verdict']['status']}, Grafana got {reply.status} with tenants {reply.tenants}")
        mistake = untrue
    return Judged(name, result, wrong, mistake)


def establish(api: Api, places: Folders, name: str, anew: Collection[str] = ()) -> query.Reply:
    """Bring a world about, wait until lines of the log tell about it, and return Grafana's answer. Raises LabError.

    anew: Deployments that get new pods, beside the proxy.
    """
    _reply, written = setting.bring_about(api, places, scenario.load(name), anew)
    setting.settle(written)
    return ask_again(api, places, name)


def ask_again(api: Api, places: Folders, name: str, patience: float = 0.0) -> query.Reply:
    """Wait, then ask until Grafana's answer is the world's, and let the logs be written. Raises LabError."""
    time.sleep(patience)
    reply = query.wait_for(api, places, scenario.read(name)["before"]["answer"], times=1)
    time.sleep(FLUSHED)
    return reply


def again_offline(snapshots: Path) -> dict[str, dict[str, Result]]:
    """Judge all saved snapshots in a process without the `kubernetes` package. Raises LabError."""
    command = [sys.executable, "-m", "catalogue.offline", str(snapshots)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"The snapshots could not be judged offline: {done.stderr.strip()[-500:]}")
    found: dict[str, dict[str, Result]] = json.loads(done.stdout)
    return found


def run(api: Api, places: Folders, names: Iterable[str], snapshots: Path) -> Tally:
    """Judge worlds, print how each went, and count."""
    judged = []
    for name in names:
        started = time.monotonic()
        judged.append(judge(api, places, name, snapshots))
        report(judged[-1], time.monotonic() - started)
    again = again_offline(snapshots)
    offline = {entry.name: differences(entry, again) for entry in judged if entry.result is not None}
    for name, found in offline.items():
        for sentence in found:
            print(f"  {name}: {sentence}")
    wrong = {entry.name for entry in judged if entry.wrong} | {name for name, found in offline.items() if found}
    mistakes = [entry.mistake for entry in judged]
    return Tally(len(judged), len(wrong), mistakes.count(compare.MISS), mistakes.count(compare.FALSE_ALARM))


def report(entry: Judged, seconds: float) -> None:
    verdict: Mapping[str, Any] = entry.result["verdict"] if entry.result else {}
    told = " ".join(verdict.get(name) or "-" for name in ("status", "code", "certainty")) if verdict else "not judged"
    print(f"{'wrong' if entry.wrong else 'ok':5} {entry.name}: {told} ({seconds:.0f} s)", flush=True)
    for sentence in entry.wrong:
        print(f"      {sentence}", flush=True)
    if entry.wrong and verdict:
        print(f"      It says: {verdict['summary']}", flush=True)


def differences(entry: Judged, again: Mapping[str, Mapping[str, Result]]) -> list[str]:
    predicted = scenario.read(entry.name)["before"].get("predicted", {})
    return compare.offline(entry.result or {}, again[entry.name.rpartition("/")[2]], predicted)
