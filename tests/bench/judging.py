# SPDX-License-Identifier: GPL-3.0-or-later
"""How long judging takes beside decoding the same snapshot's JSON, and how many requests a diagnosis makes.

Ratios of one run on one machine; request counts are exact. Run by `make bench`.
"""

from __future__ import annotations

import json

from timing import median
from world import QUESTION, World, istio, service

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot

SIZES = (100, 1_000, 10_000)


def crowded(services: int) -> World:
    """The lab's stack among many other Services of its namespace, two thirds of them on the same port."""
    world = World()
    for index in range(services):
        address = f"10.{100 + index // 65536}.{index // 256 % 256}.{index % 256}"
        world.add(service(f"service-{index}", 9090 if index % 3 else 8080, "http-web", address))
        if index % 100 == 0:
            world.add(istio("VirtualService", f"vs-{index}", {"hosts": [f"service-{index}"], "http": []}))
    return world


def main() -> None:
    """Print a row per size."""
    print(f"{'Services':>9} {'JSON MB':>8} {'requests':>9} {'judge / decode':>15} {'with 5 plans / decode':>22}")
    for size in SIZES:
        world = crowded(size)
        snapshot = world.snapshot()
        requests = len(world.asked)
        text = json.dumps({key: answer.objects for key, answer in snapshot.answers().items()})
        sound = crowded(size).port("prometheus", appProtocol="tcp").snapshot()
        decode = median(lambda text=text: json.loads(text))
        judge = median(lambda sound=sound: diagnose(QUESTION, Snapshot(sound.answers())))
        plans = median(lambda snapshot=snapshot: diagnose(QUESTION, Snapshot(snapshot.answers())))
        print(f"{size:>9} {len(text) / 1e6:>8.1f} {requests:>9} {judge / decode:>15.2f} {plans / decode:>22.2f}")


if __name__ == "__main__":
    main()
