# SPDX-License-Identifier: GPL-3.0-or-later
"""Every promise has a plan that it must refuse; a guard that never refuses guards nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, QUESTION, World, istio

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, predict
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Guard, Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guards import (
    clients,
    cured,
    envoy_filters,
    mtls,
    owners,
    policies,
    tenants,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guards.catalog import GUARDS

PREDICTED = QUESTION._replace(read_logs=False, read_envoy=False)


def state(snapshot: Any) -> State:
    found = diagnose(PREDICTED, snapshot)
    return State(snapshot, found.path, found.judgement.findings)


def objections(guard: Guard, world: World, *changes: change.Change) -> list[Objection]:
    before = world.snapshot()
    return list(guard(state(before), state(predict.after(before, changes)), changes))


def set_field(world: World, kind: str, name: str, path: str, new: object) -> change.Change:
    return change.patch(kind, world.get(kind, name), [change.Field(path, None, new, path)], [], "because", change.PUSH)


def create(body: Object) -> change.Change:
    return change.create(body, "because")


def open_mtls(_world: World) -> change.Change:
    return create(
        istio(
            "PeerAuthentication",
            "open",
            {"selector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}, "mtls": {"mode": "PERMISSIVE"}},
        )
    )


def disable_tls(_world: World) -> change.Change:
    return create(
        istio("DestinationRule", "x", {"host": "prom-label-proxy", "trafficPolicy": {"tls": {"mode": "DISABLE"}}})
    )


def exclude_port(world: World) -> change.Change:
    annotations = {"traffic.sidecar.istio.io/excludeInboundPorts": "9090"}
    return set_field(world, "Deployment", "prometheus", "/spec/template/metadata/annotations", annotations)


def hijack(_world: World) -> change.Change:
    route = [{"destination": {"host": PROMETHEUS_HOST, "port": {"number": 9090}}}]
    return create(
        istio("VirtualService", "alias", {"hosts": [PROMETHEUS_HOST, PROXY_HOST], "http": [{"route": route}]})
    )


def every_client(_world: World) -> change.Change:
    rule = {"match": [{"port": 9090}], "route": [{"destination": {"host": PROMETHEUS_HOST}}]}
    return create(istio("VirtualService", "alias", {"hosts": [PROMETHEUS_HOST, PROXY_HOST], "http": [rule]}))


def bypass(_world: World) -> change.Change:
    ports = [{"number": 9090, "protocol": "HTTP", "name": "http"}]
    return create(istio("ServiceEntry", "x", {"hosts": ["elsewhere.example"], "ports": ports}))


def no_label(world: World) -> change.Change:
    deployment = world.get("Deployment", "prom-label-proxy")
    path = "/spec/template/spec/containers/0/args"
    old = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    field = change.Field(path, old, [word for word in old if "label" not in word], path)
    return change.patch("Deployment", deployment, [field], [], "because", change.ROLLOUT)


def nothing(world: World) -> change.Change:
    return set_field(world, "Service", "prometheus", "/metadata/labels", {"x": "y"})


REFUSED: dict[str, tuple[Guard, Callable[[World], change.Change]]] = {
    "cures nothing": (cured.check, nothing),
    "brings another illness": (cured.check, disable_tls),
    "opens a server": (mtls.check, open_mtls),
    "tells a client to speak plaintext": (mtls.check, disable_tls),
    "takes a port out of the sidecar": (mtls.check, exclude_port),
    "hijacks the proxy's own port": (tenants.check, hijack),
    "routes every client": (tenants.check, every_client),
    "adds endpoints to a host": (tenants.check, bypass),
    "drops the label": (tenants.check, no_label),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_guard_refuses_the_plan_that_breaks_its_promise(name: str) -> None:
    guard, plan = REFUSED[name]
    world = World()
    # What the plans patch must have been read: an ill path always asks about the proxy's Deployment.
    assert "get Deployment monitoring prom-label-proxy" in world.snapshot().answers()
    found = objections(guard, world, plan(world))
    assert any(objection.refusal for objection in found), found


@pytest.mark.parametrize("guard", [mtls.check, tenants.check])
def test_a_harmless_plan_passes(guard: Guard) -> None:
    world = World()
    assert objections(guard, world, nothing(world)) == []


def to_tcp(world: World) -> change.Change:
    return set_field(world, "Service", "prometheus", "/spec/ports/0/appProtocol", "tcp")


def test_a_policy_that_changes_its_meaning_asks_for_consent_to_that_very_effect() -> None:
    rule = {"to": [{"operation": {"methods": ["GET"]}}]}
    world = World().add(istio("AuthorizationPolicy", "readers", {"rules": [rule]}))
    (objection,) = objections(policies.check, world, to_tcp(world))
    assert objection.effect is not None
    assert objection.effect.needs_consent
    assert objection.effect.token == f"denies_all:AuthorizationPolicy/{NS}/readers"


def test_policies_that_cannot_be_read_are_a_refusal() -> None:
    world = World()
    world.refused["AuthorizationPolicy"] = "403 Forbidden"
    assert any("403" in objection.refusal for objection in objections(policies.check, world, to_tcp(world)))


def test_other_clients_are_told_what_they_lose() -> None:
    world = World()
    (objection,) = objections(clients.check, world, to_tcp(world))
    assert objection.effect is not None
    assert objection.effect.effect == "loses_l7"


def test_an_owner_is_named() -> None:
    world = World()
    world.get("Service", "prometheus")["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "stack"}
    (objection,) = objections(owners.check, world, to_tcp(world))
    assert objection.effect is not None
    assert "Flux" in objection.effect.text


def test_every_guard_is_in_the_catalogue() -> None:
    assert set(GUARDS) == {
        cured.check,
        mtls.check,
        tenants.check,
        envoy_filters.check,
        policies.check,
        clients.check,
        owners.check,
    }
