# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the differential test that need no lab: meshes from seeds, and smaller ones that show the same."""

from __future__ import annotations

import json
from typing import Any

from differential import shrink
from differential.generator import Slot, objects

SLOTS = Slot(1), Slot(2)


def test_a_seed_is_a_mesh() -> None:
    assert objects(SLOTS[0], 7) == objects(SLOTS[0], 7)
    assert len({json.dumps(objects(SLOTS[0], seed)) for seed in range(50)}) == 50


def test_slots_share_no_namespace_port_or_foreign_name() -> None:
    texts = [json.dumps([objects(slot, seed) for seed in range(60)]) for slot in SLOTS]
    for mine, other in ((0, 1), (1, 0)):
        slot = SLOTS[mine]
        for name in (slot.client, slot.server, *slot.foreign, *(f'"port": {port}' for port in slot.ports)):
            assert name in texts[mine], name
            assert name not in texts[other], name


def test_every_ingredient_occurs() -> None:
    made = [obj for seed in range(100) for obj in objects(SLOTS[0], seed)]
    assert {obj["kind"] for obj in made} == {
        *("Service", "DestinationRule", "VirtualService", "Sidecar", "PeerAuthentication", "AuthorizationPolicy"),
        *("ServiceEntry", "Pod"),
    }


def test_what_does_not_matter_is_left_out() -> None:
    mesh: list[dict[str, Any]] = [
        {"kind": "Service", "spec": {"ports": [{"name": "http", "port": 1}, {"name": "tcp", "port": 2}], "x": 1}},
        {"kind": "Sidecar", "spec": {"egress": [{"hosts": ["*/*"]}]}},
        {"kind": "VirtualService", "spec": {"http": [{"route": [], "match": [{"port": 1, "uri": {"prefix": "/"}}]}]}},
    ]
    asked = []

    def shows(smaller: Any) -> bool:
        asked.append(smaller)
        text = json.dumps(smaller)
        return '"port": 2' in text and "prefix" in text

    assert shrink.smallest(mesh, shows) == [
        {"kind": "Service", "spec": {"ports": [{"name": "tcp", "port": 2}]}},
        {"kind": "VirtualService", "spec": {"http": [{"match": [{"port": 1, "uri": {"prefix": "/"}}]}]}},
    ]
    assert mesh[0]["spec"]["x"] == 1
    assert len(asked) < 60
