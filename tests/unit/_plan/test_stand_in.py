# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for a DestinationRule or a Service that others use: nobody but the copy meets it, or there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from variations import destination_rule, mesh
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World, istio, obj, service

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import shadow
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.shadow import NotRehearsableError, Shadow

PROXY = {"app.kubernetes.io/name": "prom-label-proxy"}
RUN = {shadow.RUN_LABEL: "run-1"}
DISABLE = {"mode": "DISABLE"}


def build(world: World, strategy: str, protocol: str = "") -> Shadow:
    diagnosis = world.diagnose()
    remedies = [entry for entry in diagnosis.remedies if (entry.strategy, entry.protocol) == (strategy, protocol)]
    workload = world.get("Deployment", "prom-label-proxy")
    return shadow.build(diagnosis.path, 1, workload, remedies[0].changes, "path-1", "run-1")


def before_the_proxy(world: World) -> None:
    """Nothing is wrong with the Host, and none with the way to the proxy."""
    world.proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    mutual = {"tls": {"mode": "ISTIO_MUTUAL"}}
    world.add(istio("DestinationRule", "proxy", {"host": PROXY_HOST, "trafficPolicy": mutual}))


def companion(made: Shadow, kind: str) -> dict[str, Any]:
    return next(body for body in made.bodies if body["kind"] == kind)


@pytest.mark.parametrize("export", [{}, {"exportTo": ["."]}, {"exportTo": ["*"]}])
def test_the_fixed_rule_is_for_the_copy_alone(export: dict[str, Any]) -> None:
    world = World()
    destination_rule(DISABLE, **export)(world)
    if export == {"exportTo": ["."]}:
        # Istio merges such a rule into the one with a selector, and nothing is left of it for the others.
        with pytest.raises(NotRehearsableError, match="would take from the other clients there what they use now"):
            build(world, "destination_rule")
        return
    made = build(world, "destination_rule")
    rule = companion(made, "DestinationRule")
    assert rule["spec"] == {
        "host": PROMETHEUS_HOST,
        "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
        "workloadSelector": {"matchLabels": RUN},
    }
    assert (rule["metadata"]["namespace"], rule["metadata"]["name"]) == (NS, shadow.name("path-1"))
    assert (
        companion(made, "Deployment")["metadata"]["annotations"][shadow.OWNS] == "AuthorizationPolicy DestinationRule"
    )
    assert made.not_shown == (
        "Whether other clients that would use DestinationRule/monitoring/rule are served too was not tried.",
    )


def test_a_rule_with_the_proxys_own_selector_stands_beside_it_too() -> None:
    world = World()
    destination_rule(DISABLE, workloadSelector={"matchLabels": PROXY})(world)
    rule = companion(build(world, "destination_rule"), "DestinationRule")
    assert rule["spec"]["workloadSelector"] == {"matchLabels": RUN}


def test_a_rule_that_is_to_be_made_is_made_for_the_copy() -> None:
    world = World()
    mesh(enableAutoMtls=False)(world)
    before_the_proxy(world)
    rule = companion(build(world, "destination_rule"), "DestinationRule")
    assert rule["spec"]["host"] == PROMETHEUS_HOST
    assert rule["spec"]["workloadSelector"] == {"matchLabels": RUN}


@pytest.mark.parametrize(
    "rule",
    [
        istio("DestinationRule", "wide", {"host": "*.local", "trafficPolicy": {"tls": DISABLE}}),
        istio("DestinationRule", "far", {"host": PROMETHEUS_HOST, "trafficPolicy": {"tls": DISABLE}}, "istio-system"),
    ],
    ids=["a wider one", "one of another namespace"],
)
def test_what_others_use_is_not_taken_from_them(rule: dict[str, Any]) -> None:
    world = World().add(rule)
    before_the_proxy(world)
    with pytest.raises(NotRehearsableError, match="would take from the other clients there what they use now"):
        build(world, "destination_rule")


@pytest.mark.parametrize(("protocol", "value"), [("tcp", "tcp"), ("auto", "istio-remediation.meshops/auto")])
def test_the_fixed_service_stands_under_another_name(protocol: str, value: str) -> None:
    world = World()
    world.get("Service", "prometheus")["spec"] |= {"type": "NodePort", "sessionAffinity": "None"}
    world.port("prometheus", nodePort=30090)
    made = build(world, "service_protocol", protocol)
    beside = companion(made, "Service")
    port = {"name": "http-web", "port": 9090, "targetPort": 9090, "protocol": "TCP", "appProtocol": value}
    assert beside["spec"] == {
        "selector": {"app.kubernetes.io/name": "prometheus"},
        "sessionAffinity": "None",
        "ports": [port],
    }
    assert beside["metadata"]["name"] == shadow.name("path-1")
    assert beside["metadata"]["annotations"] == {"networking.istio.io/exportTo": "."}
    [container] = companion(made, "Deployment")["spec"]["template"]["spec"]["containers"]
    [original] = world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"]["containers"]
    assert container == original


def test_the_copy_resolves_the_proxys_name_to_the_services_address() -> None:
    world = World()
    own = {"ip": "10.0.0.1", "hostnames": ["elsewhere"]}
    world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"]["hostAliases"] = [own]
    made = build(world, "service_protocol", "tcp")
    beside = companion(made, "Service")
    standing = {**beside, "spec": {**beside["spec"], "clusterIPs": ["10.96.0.99", "fd00::99"]}}
    [step] = shadow.alias(made, standing)
    aliases = [{"ip": ip, "hostnames": [PROMETHEUS_HOST]} for ip in ("10.96.0.99", "fd00::99")]
    assert step == {"op": "add", "path": "/spec/template/spec/hostAliases", "value": [own, *aliases]}
    path = world.diagnose().path
    pod = path.hops[1].step.client.pods[0]
    through = shadow.path_through(path, made, [standing], [pod])
    assert through.hops[0].dialled("10.96.0.99:9090")
    assert not through.hops[0].dialled("10.96.0.4:9090")


def test_what_the_server_makes_of_it_is_said_to_be_open() -> None:
    server, clients = build(World(), "service_protocol", "tcp").not_shown
    assert server == (
        "Deployment/monitoring/prometheus's own sidecar went on handling port 9090 as Service prometheus declares it, "
        "the oldest that leads there: what the fix makes of that, and of policies for HTTP there, was not tried."
    )
    assert clients == "Whether other clients of Service/monitoring/prometheus are served too was not tried."


def test_where_an_older_service_decides_the_fix_changes_nothing_on_the_servers_side() -> None:
    older = service("prometheus", 9090, "http-web", "10.96.0.9")
    older["metadata"] |= {"name": "older", "uid": "older", "creationTimestamp": "2025-01-01T00:00:00Z"}
    [server, _clients] = build(World().add(older), "service_protocol", "tcp").not_shown
    assert server.endswith("as Service older declares it, the oldest that leads there.")


def headless(world: World) -> None:
    world.get("Service", "prometheus")["spec"] |= {"clusterIP": "None", "clusterIPs": ["None"]}


def by_address(world: World) -> None:
    world.proxy_args(lambda args: [word.replace(PROMETHEUS_HOST, "10.96.0.4") for word in args])


def resolved(world: World) -> None:
    alias = {"ip": "10.96.0.4", "hostnames": [PROMETHEUS_HOST]}
    world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"]["hostAliases"] = [alias]


def with_rule(world: World) -> None:
    world.add(
        istio("DestinationRule", "x", {"host": "prometheus", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}})
    )


def with_route(world: World) -> None:
    route = [{"destination": {"host": PROMETHEUS_HOST, "port": {"number": 9090}}}]
    world.add(istio("VirtualService", "x", {"hosts": [PROMETHEUS_HOST], "tcp": [{"route": route}]}))


def scoped(world: World) -> None:
    hosts = [f"./{PROMETHEUS_HOST}", f"./{PROXY_HOST}"]
    world.add(istio("Sidecar", "default", {"egress": [{"hosts": hosts}]}))


BY_NAME = "The mesh treats Service prometheus by its name, which nothing beside it has"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (headless, "Service monitoring/prometheus has no address of its own that leads to pods"),
        (by_address, "dials 10.96.0.4, which no other address can stand for"),
        (resolved, f"Pods of prom-label-proxy resolve {PROMETHEUS_HOST} by themselves"),
        (with_rule, BY_NAME),
        (with_route, BY_NAME),
        (scoped, f"{BY_NAME}; through another one, route table 9090 has no virtual host"),
    ],
)
def test_where_another_address_would_not_show_the_truth_it_is_refused(
    change: Callable[[World], None], says: str
) -> None:
    world = World()
    change(world)
    with pytest.raises(NotRehearsableError) as refused:
        build(world, "service_protocol", "tcp")
    assert says in str(refused.value)


def test_a_service_of_another_namespace_has_no_stand_in() -> None:
    world = World()
    for entry in world.objects:
        if entry["metadata"]["name"].startswith("prometheus"):
            entry["metadata"]["namespace"] = "metrics"
    world.add(obj("Namespace", "metrics", {}, namespace=""), istio("PeerAuthentication", "default", STRICT, "metrics"))
    world.proxy_args(lambda args: [word.replace(f".{NS}.svc", ".metrics.svc") for word in args])
    with pytest.raises(NotRehearsableError, match="Service metrics/prometheus is in another namespace than the proxy"):
        build(world, "service_protocol", "tcp")


STRICT = {"mtls": {"mode": "STRICT"}}


def test_nothing_of_production_selects_what_stands_beside_it() -> None:
    for strategy, protocol in (("service_protocol", "tcp"), ("service_protocol", "auto")):
        made = build(World(), strategy, protocol)
        for body in made.bodies:
            assert not objects.selects(PROXY, objects.labels(body))
