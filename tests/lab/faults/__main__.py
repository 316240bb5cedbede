# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault matrix against the lab's API server: `make faults` simulates one, and tries more.

Struck is every call of a proof, and of a fix every call from the lock on; those before it only read, as for every fix,
and are struck once. Left out are fixes that replace pods, for each rollout takes seconds, and the streams by which
sidecars are asked, for their number differs each time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

from fault_matrix.play import STRATEGIES, Play, no_waiting
from fault_matrix.rows import ROWS, Row
from fault_matrix.tally import Tally
from fault_matrix.verified import VERIFIED, Verified
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders, folders
from stage import scenario, setting

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import retry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import judge
from faults import proxy
from faults.stage import Lab, Queried

# By strategy: the world that it cures. One creates an object, the other patches one.
WORLDS = {"route_alias": "route_alias", "destination_rule": "destination_rule_disable"}
FIRST = ("route_alias", "applied")
# By world: what a proof finds there.
TRUTHS = {"healthy": judge.PASSED, "route_alias": judge.FAILED}


class Matrix:
    """Which faults are to strike which plays, and how they end."""

    def __init__(self, places: Folders, harmful: proxy.Proxy, rows: Sequence[Row], play: str) -> None:
        """play: only plays whose name contains this."""
        self._places, self._proxy, self._rows, self._play = places, harmful, rows, play
        self._api = Api(places)
        self.tally = Tally()

    def fixes(self) -> None:
        """Strike fixes and their ways back; nothing takes time to come into effect."""
        strategies = {strategy.name: strategy for strategy in STRATEGIES}
        with no_waiting(), mock.patch.object(push, "versions", return_value={}):
            for name, world in WORLDS.items():
                for state in ("applied", "reverted"):
                    if not self._begins(f"{name}, {state}", world):
                        continue
                    lab = Lab(self._api, self._proxy)
                    beginning = lab.objects()
                    play = Play(lab, strategies[name], state)
                    first = play.first_lock if (name, state) != FIRST else 0
                    self._strike(f"{name}, {state}", partial(play.struck, first=first), play.faults)
                    lab.restore(beginning)

    def proofs(self) -> None:
        """Strike proofs; sidecars take their time to log."""
        with mock.patch.object(retry, "_FIRST_WAIT", 0.0):
            for world, truth in TRUTHS.items():
                if self._begins(f"{VERIFIED}, {world}", world):
                    proof = Verified(Queried(self._proxy, truth))
                    self._strike(f"{VERIFIED}, {world}", proof.struck, proof.faults)

    def _begins(self, name: str, world: str) -> bool:
        if self._play not in name:
            return False
        _reply, written = setting.bring_about(self._api, self._places, scenario.load(world))
        setting.settle(written)
        return True

    def _strike(self, name: str, struck: Callable[[Row], list[int]], faults: Callable[[Row, int], list[str]]) -> None:
        for row in self._rows:
            for index in struck(row):
                self.tally.add(row.name, f"{name}; call {index}", faults(row, index))


def main() -> int:
    """Try what is asked for; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults-lab")
    parser.add_argument("--row", default="", help="only rows whose name contains this")
    parser.add_argument("--play", default="", help="only plays whose name contains this")
    wanted = parser.parse_args()
    places = folders()
    with proxy.running(places) as harmful:
        matrix = Matrix(places, harmful, [row for row in ROWS if wanted.row in row.name], wanted.play)
        matrix.fixes()
        matrix.proofs()
    return matrix.tally.result()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"error: {error}")
