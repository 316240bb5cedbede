# SPDX-License-Identifier: GPL-3.0-or-later
"""A cure that an EnvoyFilter may undo needs consent; where filters could not be read it is refused."""

from __future__ import annotations

import pytest
from _verdict.test_envoy_filter import FAULT, HOST, MATTERS, PLAYS_NO_PART, ROUTE, SERVER, TLS, add, http_filter, patch
from _verdict.test_envoy_witness import prepared
from variations import Change
from world import NS, PROMETHEUS_HOST, QUESTION, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guards.envoy_filters import LATER
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Remedy

TOKEN = f"may_undo_fix:EnvoyFilter/{NS}/filter"
CHAIN = patch("FILTER_CHAIN", "REMOVE", None, "SIDECAR_INBOUND", listener={"portNumber": 9090})
CURES = ("host_rewrite", "route_alias", "service_protocol auto", "service_protocol tcp")


def remedies(world: World, thorough: bool = False) -> dict[str, Remedy]:
    found = world.diagnose(QUESTION._replace(thorough=thorough)).remedies
    return {f"{remedy.strategy} {remedy.protocol}".strip(): remedy for remedy in found}


def changed(change: Change) -> dict[str, Remedy]:
    world = World()
    change(world)
    return remedies(world)


@pytest.mark.parametrize(
    ("change", "leaves_alone"),
    [
        (add(HOST), "service_protocol tcp"),  # which meets no route table
        (add(http_filter(FAULT, "SIDECAR_INBOUND"), selector=SERVER), "service_protocol tcp"),
        (add(CHAIN, selector=SERVER), ""),
    ],
    ids=["a route table", "a filter of the server", "a filter chain of the server"],
)
def test_a_cure_needs_consent_to_the_filter_that_touches_its_hop(change: Change, leaves_alone: str) -> None:
    found = changed(change)
    for name in CURES:
        expected = () if name == leaves_alone else (TOKEN,)
        assert (found[name].applicable, found[name].consent_needed) == (True, expected), name


def test_a_filter_counts_that_touches_the_hop_only_once_it_is_cured() -> None:
    """Today the request leaves through PassthroughCluster; then through a cluster whose TLS is taken away."""
    cluster = {"service": PROMETHEUS_HOST, "portNumber": 9090}
    found = changed(add(patch("CLUSTER", "MERGE", TLS, cluster=cluster)))
    for name in CURES:
        assert found[name].consent_needed == (TOKEN,), name
    (effect,) = (effect for effect in found["host_rewrite"].effects if effect.needs_consent)
    assert "CLUSTER MERGE on prom-label-proxy's sidecar" in effect.text
    assert "prometheus:9090" in effect.text


def test_a_filter_on_a_hop_that_stays_as_it_is_asks_for_nothing() -> None:
    table = patch("VIRTUAL_HOST", "ADD", ROUTE, routeConfiguration={"name": "8080"})
    found = changed(add(table, selector="grafana"))
    assert {remedy.consent_needed for remedy in found.values()} == {()}


@pytest.mark.parametrize("name", ["another port", "a timeout", "Istio's own telemetry of old", "another release"])
def test_a_filter_that_cannot_touch_the_hop_asks_for_nothing(name: str) -> None:
    found = changed(PLAYS_NO_PART[name])
    assert {remedy.consent_needed for remedy in found.values()} == {()}


def test_filters_that_cannot_be_read_refuse_every_cure_with_the_reason() -> None:
    world = World()
    world.refused["EnvoyFilter"] = "cannot list resource"
    found = remedies(world)
    for name in CURES:
        assert not found[name].applicable, name
        assert "EnvoyFilter list in namespace monitoring: cannot list resource" in found[name].reason


def test_that_the_present_state_is_proved_does_not_vouch_for_the_next() -> None:
    """A diagnosis to which Envoy has spoken has no request left for filters; the run that applies a fix has."""
    world = prepared(MATTERS["a virtual host"])
    assert world.diagnose().judgement.verdict.certainty == "proved"
    assert remedies(world)["host_rewrite"].reason.endswith(LATER)
    assert remedies(world, thorough=True)["host_rewrite"].consent_needed == (TOKEN,)
