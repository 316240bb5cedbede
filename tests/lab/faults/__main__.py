# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix against the lab's API server: `make faults` simulates one, and tries more.

Struck is every call from the lock on; those before it only read, as for every fix, and are struck once. Left out are
fixes that replace pods, for each rollout takes seconds, and the streams by which sidecars are asked, for their number
differs each time.
"""

from __future__ import annotations

import argparse
import sys
from unittest import mock

from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rows import ROWS
from fault_matrix.tally import Tally
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders
from stage import scenario, setting

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push
from faults import proxy
from faults.stage import Lab

# By strategy: the world that it cures. One creates an object, the other patches one.
WORLDS = {"route_alias": "route_alias", "destination_rule": "destination_rule_disable"}
FIRST = ("route_alias", "applied")


def main() -> int:
    """Try the rows that are asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults-lab")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    rows = [row for row in ROWS if parser.parse_args().row in row.name]
    strategies = {strategy.name: strategy for strategy in STRATEGIES}
    places = folders()
    api = Api(places)
    tally = Tally()
    with proxy.running(places) as harmful, no_waiting(), mock.patch.object(push, "versions", return_value={}):
        for name, world in WORLDS.items():
            setting.bring_about(api, places, scenario.load(world))
            lab = Lab(api, harmful)
            for state in ("applied", "reverted"):
                beginning = lab.objects()
                play = Play(lab, strategies[name], state)
                first = play.first_lock if (name, state) != FIRST else 0
                for row in rows:
                    for index in play.struck(row, first):
                        tally.add(row.name, f"{name}, {state}; call {index}", play.faults(row, index))
                lab.restore(beginning)
    return tally.result()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"error: {error}")
