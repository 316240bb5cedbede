# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.two_runs REMEDY``: a second run while the first one is at work. Prints what it saw."""

from __future__ import annotations

import re
import sys

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders

from faults import leases, proxy
from faults.victim import Victim

REFUSAL = re.compile(r"This path is being changed by (\S+) since")


def main(remedy: str) -> str:
    """Return the sentence for people. Raises LabError where the claim is false."""
    places = folders()
    api = Api(places)
    with proxy.running(places) as between:
        # The first write takes the Lease.
        between.hold_after_write(0)
        first = Victim("remediate", {"remedy": remedy}, between)
        try:
            if not first.reaches_the_hold():
                raise LabError(f"The first run wrote nothing: {first.end()[1]}")
            [holder] = leases.holders(api)
            code, printed = Victim("remediate", {"remedy": remedy}).end()
            refusal = REFUSAL.search(printed)
            if code != 2 or "changed=0 " not in printed or not refusal or not holder.startswith(refusal[1]):
                raise LabError(f"The second run was not refused with the name of {holder}: {printed}")
            between.heal()
            code, printed = first.end()
        finally:
            first.kill()
    if code != 0 or "changed=1 " not in printed or leases.holders(api):
        raise LabError(f"The first run did not end as if it had been alone: {printed}")
    return f"The first run held the path and ended well; the second was refused: {refusal[0]}"


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except LabError as error:
        sys.exit(f"error: {error}")
