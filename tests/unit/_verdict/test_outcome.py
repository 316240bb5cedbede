# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user sees of a hop that fails: a sidecar that handles HTTP answers itself, a TCP connection breaks off."""

from __future__ import annotations

import pytest
from variations import Change, both, destination_rule, mesh, no_sidecar, rewrite
from world import PROMETHEUS_HOST, PROXY_HOST, World, istio

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import outcome

HIDDEN = istio("Sidecar", "default", {"egress": [{"hosts": ["istio-system/*", f"./{PROXY_HOST}"]}]})
REGISTRY_ONLY = mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})

CASES: dict[str, tuple[Change, str]] = {
    "foreign Host": (lambda _: None, "the user sees 503"),
    "no TLS to an HTTP port": (destination_rule({"mode": "DISABLE"}), "the user sees 503"),
    "no TLS to a TCP port": (
        both(destination_rule({"mode": "DISABLE"}), lambda w: w.port("prometheus", appProtocol="tcp")),
        "the user sees 502",
    ),
    "no sidecar at the client": (both(rewrite(PROMETHEUS_HOST), no_sidecar("prom-label-proxy")), "the user sees 502"),
    "hidden by a Sidecar resource": (lambda w: w.add(HIDDEN), "the user sees 502"),
    "blocked by Host": (REGISTRY_ONLY, "answers 502 (block_all)"),
    "hidden and blocked": (both(REGISTRY_ONLY, lambda w: w.add(HIDDEN)), "(BlackHoleCluster); the user sees 502"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_user_sees(name: str) -> None:
    change, said = CASES[name]
    world = World()
    change(world)
    found = outcome.of_hop(world.diagnose().path.hops[-1])
    assert found.kind == outcome.FAILS
    assert said in found.text
