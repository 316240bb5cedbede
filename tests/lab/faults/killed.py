# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.killed REMEDY``: a run is killed after each of its writes in turn; each time it is run again, and
then rolled back. Prints a line per write.

The killed run is ansible-playbook with all its children; the others are modules in this process, for their start alone
would take a minute.
"""

from __future__ import annotations

import sys
from typing import Any

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders
from stage import state

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from faults import leases, proxy
from faults.victim import PATH, Victim

# Fewer would mean that nothing was changed: the Lease, the record three times, the change.
FEWEST = 5


def main(remedy: str) -> int:
    """Return how many writes a run was killed after. Raises LabError where one of them leaves something behind."""
    places = folders()
    api = Api(places)
    before = state.read(api)
    number = 0
    with proxy.running(places) as between:
        while True:
            between.hold_after_write(number)
            victim = Victim("remediate", {"remedy": remedy}, between)
            try:
                reached = victim.reaches_the_hold()
            finally:
                victim.kill()
            written = between.seen().requests[-1][:2]
            between.heal()
            between.watch()
            if not reached:
                _run(between, "reverted")
                break
            _recover(api, between, remedy, before)
            number += 1
            print(f"killed after write {number}, {' '.join(written)}: run again, rolled back, as before", flush=True)
    if number < FEWEST:
        raise LabError(f"The run made {number} writes; it should have made {FEWEST} or more.")
    return number


def _recover(api: Api, between: proxy.Proxy, remedy: str, before: state.State) -> None:
    leases.expire(api)
    again = _run(between, "applied", strategy=remedy)
    back = _run(between, "reverted")
    left = state.differences(before, state.read(api))
    if again.get("failed") or back.get("failed") or left or leases.holders(api):
        raise LabError(f"Not as before: {left or 'a Lease'}. Again: {again['msg']} Rolled back: {back['msg']}")


def _run(between: proxy.Proxy, wanted: str, **options: Any) -> dict[str, Any]:
    return run_module(query_path_remediation, host=between.url, api_key="unused", state=wanted, **PATH, **options)


if __name__ == "__main__":
    try:
        print(f"{main(*sys.argv[1:])} kills, each survived.")
    except LabError as error:
        sys.exit(f"error: {error}")
