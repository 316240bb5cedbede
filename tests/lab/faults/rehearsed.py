# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.rehearsed REMEDY [PROTOCOL] [STEP]``: a rehearsal is killed after every STEPth of its writes.

While it is held there, the sidecars of all other pods run on what they ran on before it, but for what bears the
copy's name. After each kill another rehearsal proves the fix, and of none is anything left. Prints a line per write.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders
from stage import state

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from faults import leases, proxy, sidecars
from faults.victim import PATH, Victim

# Fewer writes would mean that there was no copy: the Lease, the Deployment, what it owns, its pod, and all of that
# removed.
FEWEST = 9


def main(remedy: str, protocol: str = "", step: str = "1") -> int:
    """Return after how many writes a rehearsal was killed. Raises LabError where one of them leaves something."""
    places = folders()
    api = Api(places)
    before = state.read(api)
    wanted = {"remedy": remedy, **({"protocol": protocol} if protocol else {})}
    number = 0
    with proxy.running(places) as between:
        ran_on = sidecars.settled(api, places)
        while True:
            between.hold_after_write(number)
            victim = Victim("remediate", {**wanted, "rehearse": True}, between)
            try:
                reached = victim.reaches_the_hold()
                written = between.seen().requests[-1][:2]
                met = sidecars.differences(ran_on, sidecars.configuration(api, places))
            finally:
                victim.kill()
            between.heal()
            if met:
                raise LabError(f"After {' '.join(written)} others met something of the rehearsal: {'; '.join(met)}")
            if not reached:
                break
            _recover(api, between, wanted, before)
            said = f"killed after write {number + 1}, {' '.join(written)}: proved by another one, nothing left"
            print(said, flush=True)
            number += int(step)
    if number < FEWEST:
        raise LabError(f"The rehearsal made {number} writes; it should have made {FEWEST} or more.")
    return len(range(0, number, int(step)))


def _recover(api: Api, between: proxy.Proxy, wanted: Mapping[str, str], before: state.State) -> None:
    leases.expire(api)
    options: dict[str, Any] = {**PATH, "strategy": wanted["remedy"]}
    options |= {"protocol": wanted["protocol"]} if "protocol" in wanted else {}
    again = run_module(query_path_remediation, host=between.url, api_key="unused", rehearse=True, **options)
    left = state.differences(before, state.read(api), strict=True)
    if again.get("result") != "passed" or left or leases.holders(api):
        raise LabError(f"Left: {left or leases.holders(api)}. The next rehearsal: {again['msg']}")


if __name__ == "__main__":
    try:
        print(f"{main(*sys.argv[1:])} kills, each survived.")
    except LabError as error:
        sys.exit(f"error: {error}")
