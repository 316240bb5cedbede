# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners are followed up to the root; where that cannot be done, it is said why."""

from __future__ import annotations

from typing import Any

import pytest
from world import NS, World, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.ownership import Ownership
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect

GROUP = "example.org/v1"
ARGO = {"argocd.argoproj.io/tracking-id": "mon:apps/Thing:monitoring/top"}


def reference(name: str, **fields: Any) -> dict[str, Any]:
    found = {"apiVersion": GROUP, "kind": "Thing", "name": name, "uid": f"uid-Thing-{NS}-{name}", "controller": True}
    return {**found, **fields}


def chain(*names: str, **metadata: Any) -> World:
    """The proxy's Deployment belongs to the first, each of them to the next. metadata: of the last."""
    world = World()
    owned = world.get("Deployment", "prom-label-proxy")
    for name in names:
        owned["metadata"]["ownerReferences"] = [reference(name)]
        world.add(obj("Thing", name, {}, GROUP))
        owned = world.get("Thing", name)
    owned["metadata"].update(metadata)
    return world


def found(world: World) -> Ownership:
    deployment = world.get("Deployment", "prom-label-proxy")
    return ownership.of(deployment, world.snapshot())


def effect(world: World) -> Effect:
    [remedy] = [entry for entry in world.diagnose().remedies if entry.strategy == "host_rewrite"]
    return next(entry for entry in remedy.effects if entry.effect == "may_be_reverted")


def test_the_root_is_named() -> None:
    world = chain("one", "two", "top", annotations=ARGO)
    assert str(found(world)) == "Thing one in Thing two in Thing top in Argo CD application mon"
    assert found(world).unknown == ""
    assert "Thing top in Argo CD application mon, which may take the change back" in effect(world).text


def test_the_managers_of_the_topmost_say_who_wrote_it_where_nothing_else_does() -> None:
    world = chain("top", managedFields=[{"manager": "kustomize-controller"}])
    assert str(found(world)) == "Thing top in Flux Kustomization (field manager kustomize-controller)"


def test_what_an_operator_passes_on_to_what_it_makes_is_said_once() -> None:
    world = chain("top", annotations=ARGO)
    world.get("Deployment", "prom-label-proxy")["metadata"]["annotations"] = ARGO
    assert str(found(world)) == "Thing top in Argo CD application mon"


def test_the_controller_is_followed_and_other_owners_are_named() -> None:
    world = chain("top", annotations=ARGO)
    metadata = world.get("Deployment", "prom-label-proxy")["metadata"]
    metadata["ownerReferences"].insert(0, reference("other", controller=False))
    assert str(found(world)) == "Thing top in Thing other in Argo CD application mon"
    assert found(world).maker == ownership.Owner("Thing", "top")


def refused(world: World) -> None:
    world.refused["Thing"] = "Not allowed to get Thing monitoring/one"


def not_served(world: World) -> None:
    world.unserved.add("Thing")


def gone(world: World) -> None:
    world.remove("Thing", "one")


def made_anew(world: World) -> None:
    world.get("Thing", "one")["metadata"]["uid"] = "another"


def in_a_circle(world: World) -> None:
    world.get("Thing", "two")["metadata"]["ownerReferences"] = [reference("one")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (refused, "Thing one cannot be read: Not allowed to get Thing monitoring/one"),
        (not_served, "Thing one cannot be read: the API server does not serve this kind"),
        (gone, "Thing one does not exist"),
        (made_anew, "the Thing one that is there now is another one"),
        (in_a_circle, "Thing one is owned by what it owns"),
    ],
)
def test_an_owner_that_is_not_known_is_no_root(change: Any, says: str) -> None:
    world = chain("one", "two", annotations=ARGO)
    change(world)
    assert found(world).unknown == says
    assert effect(world).text.endswith(f" What owns that in turn is not known: {says}.")
    [remedy] = [entry for entry in world.diagnose().remedies if entry.strategy == "host_rewrite"]
    assert says in remedy.at_owner[0].how
    assert not remedy.applicable


def test_the_way_up_is_bounded() -> None:
    world = chain(*(f"thing-{number}" for number in range(9)), annotations=ARGO)
    assert found(world).unknown == "Thing thing-4 is the 5th above it, and 4 are asked"
    assert len([need for need in set(world.asked) if need.verb == "owner"]) == 4


def test_nothing_is_asked_where_nothing_owns_the_object() -> None:
    world = World()
    world.diagnose()
    assert not any(need.verb == "owner" for need in world.asked)


def test_owners_are_asked_last() -> None:
    """They come out of what is left of the requests that a diagnosis may make."""
    world = chain("one")
    world.diagnose()
    assert [need.verb for need in world.asked].index("owner") == len(world.asked) - 1
