# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.log_levels``: a probe in a mesh without access logs, with and without raise_log_level, and killed
at one moment after the other while the levels are raised. Prints a line per run.
"""

from __future__ import annotations

import re
import sys
import time

from catalogue.witness import kubectl
from meshlab import waiting
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders, folders
from stage import world

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_probe
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from faults.victim import PATH, Victim

# In the order in which the probe raises them.
SIDECARS = ("grafana", "prom-label-proxy", "prometheus")
# No sidecar starts with this one, so that it is not by chance what stands there in the end.
OWN_LEVELS = "router:info,connection:error"
# How many runs are killed, so many seconds apart, and how many of them must run on until then. A probe that proves the
# path at once keeps the levels up for three or four seconds.
KILLS, STEP, FEWEST = 5, 0.5, 2
# Seconds that the sidecars get to notice.
NOTICED = 20.0
_LISTED = re.compile(r"^ +(\w+): (\w+)$", re.MULTILINE)

Levels = dict[str, dict[str, str]]


def main() -> str:
    """Return the sentence for people. Raises LabError where the claim is false."""
    places = folders()
    start = {name: levels(places, name) for name in SIDECARS}
    levels(places, "prometheus", OWN_LEVELS)
    try:
        return _compare_and_kill(places)
    finally:
        back = ",".join(f"{logger}:{start['prometheus'][logger]}" for logger in ("router", "connection"))
        levels(places, "prometheus", back)


def _compare_and_kill(places: Folders) -> str:
    before = everything(places)
    result = run_module(query_path_probe, kubeconfig=str(places.kubeconfig), **PATH)
    if result.get("result") != "inconclusive" or "meshConfig.accessLogFile" not in result["msg"]:
        raise LabError(f"Without logs the probe says: {result['msg']}")
    print("without raise_log_level inconclusive", flush=True)
    # A connection of the first probe may carry all queries of the second, whose log then shows no new one.
    world.restart_proxy(Api(places))
    began = time.monotonic()
    result = run_module(query_path_probe, kubeconfig=str(places.kubeconfig), raise_log_level=True, **PATH)
    took = time.monotonic() - began
    left = everything(places) != before or not all(level["put_back"] for level in result.get("log_levels", []))
    if result.get("result") != "passed" or left:
        raise LabError(f"{'Levels are left raised' if left else 'Not passed'}: {result['msg']} {result.get('checks')}")
    print(f"with raise_log_level passed, in {took:.1f} s, {result['api']['requests']} requests", flush=True)
    times = []
    for number in range(KILLS):
        delay = STEP * number
        noticed = _kill(places, before, delay)
        if noticed is None:
            print(f"ended within {delay:.1f} s of raising the first", flush=True)
        else:
            times.append(noticed)
            print(f"killed {delay:.1f} s after the first was raised: back in {noticed:.1f} s", flush=True)
    if len(times) < FEWEST:
        raise LabError(f"Only {len(times)} of {KILLS} runs had not ended when they were killed.")
    return f"{len(times)} kills, after each of which the levels were as before, within {max(times):.1f} s"


def _kill(places: Folders, before: Levels, delay: float) -> float | None:
    """Kill a run some seconds after it has begun to raise levels; how long it took until they were as before.

    None where the run had ended by then. Raises LabError where the levels stay raised.
    """
    victim = Victim("verify", {"raise_log_level": True})
    try:
        first = SIDECARS[0]
        waiting.until(lambda: levels(places, first) != before[first], f"a raised level in {first}", 60, pause=0.02)
        time.sleep(delay)
        if levels(places, first) == before[first]:
            return None
    finally:
        victim.kill()
    died = time.monotonic()
    waiting.until(lambda: everything(places) == before, "the levels as before", NOTICED, pause=0.02)
    return time.monotonic() - died


def everything(places: Folders) -> Levels:
    return {name: levels(places, name) for name in SIDECARS}


def levels(places: Folders, deployment: str, wanted: str = "") -> dict[str, str]:
    """The levels of all of a sidecar's loggers, after some of them were set."""
    request = f"logging?paths={wanted}" if wanted else "logging"
    command = ("pilot-agent", "request", "POST", request)
    done = kubectl(places, "exec", f"deployment/{deployment}", "--container", "istio-proxy", "--", *command)
    found = dict(_LISTED.findall(done.stdout))
    if "router" not in found:
        raise LabError(f"Envoy of {deployment} does not list its loggers: {done.stdout} {done.stderr}")
    return found


if __name__ == "__main__":
    try:
        print(main())
    except LabError as error:
        sys.exit(f"error: {error}")
