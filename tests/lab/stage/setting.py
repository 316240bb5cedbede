# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario's whole world: the mesh's settings, the namespace, and what comes late."""

from __future__ import annotations

import time
from collections.abc import Collection

from meshlab import mesh_config
from meshlab.api import Api
from meshlab.settings import Folders

from stage import query, world
from stage.scenario import Scenario

SETTLED = 3.3


def bring_about(api: Api, places: Folders, wanted: Scenario, anew: Collection[str] = ()) -> tuple[query.Reply, float]:
    """Bring a scenario's world about. anew: Deployments that get new pods, beside the proxy.

    Returns the answer that proves it, from before anything came late, and when the last object was written (of the
    monotonic clock). Raises LabError.
    """
    mesh_config.reset(api, places)
    if wanted.mesh:
        mesh_config.change(api, wanted.mesh)
    written = world.bring_about(api, wanted.objects, wanted.unready, anew)
    reply = query.wait_for(api, places, wanted.answer)
    if wanted.late:
        world.add(api, [world.with_addresses(api, manifest) for manifest in wanted.late])
        world.wait_until_ready(api, wanted.unready)
        written = time.monotonic()
    return reply, written


def settle(written: float) -> None:
    """Wait until a line of the log tells about what was written then (of the monotonic clock).

    A line counts once the configuration has been with the sidecars for 3 s.
    """
    time.sleep(max(0.0, written + SETTLED - time.monotonic()))
