# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that is no longer the approved one says what has moved, from nothing but the approved hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from world import NS, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import choice
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.choice import RefusedError, Wish

SERVICE = f"Service/{NS}/prometheus"
PROXY = f"Deployment/{NS}/prom-label-proxy"


def approved(strategy: str, protocol: str = "") -> str:
    remedies = World().diagnose().remedies
    return next(remedy.hash for remedy in remedies if (remedy.strategy, remedy.protocol) == (strategy, protocol))


def refusal(world: World, wish: Wish) -> str:
    with pytest.raises(RefusedError) as refused:
        choice.choose(world.diagnose().remedies, wish, "ill")
    return str(refused.value)


def app_protocol(world: World) -> None:
    world.port("prometheus", appProtocol="http2")


def recreated(world: World) -> None:
    world.get("Service", "prometheus")["metadata"]["uid"] = "another"


def more_arguments(world: World) -> None:
    world.proxy_args(lambda args: [*args, "--enable-label-apis"])


def moved_port(world: World) -> None:
    other = {"name": "web", "port": 8081, "targetPort": 8081, "protocol": "TCP"}
    world.get("Service", "prometheus")["spec"]["ports"].insert(0, other)


def restarted(world: World) -> None:
    template = world.get("Deployment", "prom-label-proxy")["spec"]["template"]
    template["metadata"]["annotations"] = {"istio-remediation.meshops/restarted-for": "x"}


@pytest.mark.parametrize(
    ("strategy", "protocol", "drift", "said"),
    [
        (
            "service_protocol",
            "tcp",
            app_protocol,
            f'{SERVICE}: spec.ports[9090].appProtocol has changed, now it is "http2"',
        ),
        ("service_protocol", "tcp", recreated, f"{SERVICE} is another object, now with uid another"),
        ("service_protocol", "tcp", moved_port, f"what would be written to {SERVICE}, now "),
        (
            "service_protocol",
            "auto",
            restarted,
            f"{PROXY}: spec.template.metadata.annotations[istio-remediation.meshops/restarted-for] has changed",
        ),
        ("host_rewrite", "", more_arguments, f"{PROXY}: spec.template.spec.containers[prom-label-proxy].args has"),
    ],
)
def test_what_drifted_is_named_and_nothing_else(
    strategy: str, protocol: str, drift: Callable[[World], Any], said: str
) -> None:
    world = World()
    drift(world)
    hash_then = approved(strategy, protocol)
    message = refusal(world, Wish(strategy, protocol or "auto", approved=hash_then))
    assert message.startswith(f"The plan is no longer the approved one ({hash_then}; now {strategy}")
    told = message.partition("so nothing was changed. ")[2]
    label = f"{strategy} ({protocol})" if protocol else strategy
    assert told.startswith(f"{label}: {said}")
    assert told.endswith(". Look at the diagnosis again and approve its hash.")
    assert ";" not in told


def test_a_hash_of_another_fix_is_said_to_be_that() -> None:
    message = refusal(World(), Wish("host_rewrite", "auto", approved=approved("route_alias")))
    assert "It was for another path or another fix" in message


def test_a_new_effect_is_another_plan() -> None:
    world = World()
    world.get("Service", "prometheus")["metadata"]["labels"] = {"olm.owner": "prometheus", "olm.owner.kind": "CSV"}
    wish = Wish("service_protocol", "tcp", approved=approved("service_protocol", "tcp"), force_live=True)
    assert f"may_be_reverted:{SERVICE}" in refusal(world, wish)


def test_the_gate_is_the_whole_hash() -> None:
    """A hash whose pairs are those of the plan, but whose first part is not, is refused too."""
    forged = "0" * 16 + approved("host_rewrite")[16:]
    assert "in what, its hash does not tell" in refusal(World(), Wish("host_rewrite", "auto", approved=forged))
