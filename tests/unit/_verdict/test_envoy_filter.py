# SPDX-License-Identifier: GPL-3.0-or-later
"""EnvoyFilters: one that can touch the hop leaves the verdict open until a witness speaks; all others make no noise."""

from __future__ import annotations

from typing import Any

import pytest
from _verdict.test_envoy_witness import WITHOUT_ENVOY, WITHOUT_LOGS, prepared
from variations import Change, both, rewrite
from world import NS, PROMETHEUS_HOST, QUESTION, World, istio

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict

SOUND = rewrite(PROMETHEUS_HOST)
PROXY, SERVER = "prom-label-proxy", "prometheus"
ROUTER = {"filterChain": {"filter": {"name": "x", "subFilter": {"name": "envoy.filters.http.router"}}}}
V3 = "type.googleapis.com/envoy.extensions.filters.http"
STRUCT = "type.googleapis.com/udpa.type.v1.TypedStruct"
LUA = f"{V3}.lua.v3.Lua"


def patch(apply_to: str, operation: str, value: Any = None, context: str = "SIDECAR_OUTBOUND", **match: Any) -> Any:
    done = {"operation": operation, **({"value": value} if value is not None else {})}
    return {"applyTo": apply_to, "match": {"context": context, **match}, "patch": done}


def _selecting(name: str) -> Any:
    return {"workloadSelector": {"labels": {"app.kubernetes.io/name": name}}}


def add(*patches: Any, selector: str = PROXY, namespace: str = NS, **spec: Any) -> Change:
    body = {"configPatches": list(patches), **(_selecting(selector) if selector else {}), **spec}
    return lambda world: world.add(istio("EnvoyFilter", "filter", body, namespace))


def http_filter(kind: str, context: str = "SIDECAR_OUTBOUND", listener: Any = None, **settings: Any) -> Any:
    value = {"name": "added", "typed_config": {"@type": kind, **settings}}
    return patch("HTTP_FILTER", "INSERT_BEFORE", value, context, listener={**ROUTER, **(listener or {})})


def wasm(runtime: str) -> Any:
    settings = {"config": {"vm_config": {"runtime": runtime, "code": {"local": {"inline_string": "envoy.wasm.stats"}}}}}
    return http_filter(
        STRUCT, type_url="type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", value=settings
    )


ROUTE = {"name": "alias", "domains": ["x"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "x"}}]}
HOST = patch("VIRTUAL_HOST", "ADD", ROUTE, routeConfiguration={"name": "9090"})
TLS = {"transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}}
METADATA = {"filters": [{"name": "istio.metadata_exchange"}]}
FAULT = f"{V3}.fault.v3.HTTPFault"

MATTERS: dict[str, Change] = {
    "a virtual host": add(HOST),
    "a virtual host, for all sidecars of the mesh": add(HOST, selector="", namespace="istio-system"),
    "a virtual host, by the port of the table": add(
        patch("VIRTUAL_HOST", "ADD", ROUTE, routeConfiguration={"portNumber": 9090})
    ),
    "a route that answers by itself": add(patch("HTTP_ROUTE", "MERGE", {"directResponse": {"status": 418}})),
    "a route to another cluster": add(patch("HTTP_ROUTE", "MERGE", {"route": {"cluster": "x"}}, "ANY")),
    "a cluster without TLS": add(
        patch("CLUSTER", "MERGE", TLS, cluster={"service": PROMETHEUS_HOST, "portNumber": 9090})
    ),
    "a cluster taken away": add(patch("CLUSTER", "REMOVE", cluster={"name": f"outbound|9090||{PROMETHEUS_HOST}"})),
    "a filter chain of the server": add(
        patch("FILTER_CHAIN", "REMOVE", None, "SIDECAR_INBOUND", listener={"portNumber": 9090}), selector=SERVER
    ),
    "another route table in the listener": add(
        patch("NETWORK_FILTER", "MERGE", {"typed_config": {"rds": {"route_config_name": "x"}}})
    ),
    "a filter that answers by itself": add(http_filter(FAULT, "SIDECAR_INBOUND"), selector=SERVER),
    "Lua that answers": add(http_filter(LUA, inlineCode="request_handle:respond({})")),
    "Lua that changes the Host": add(http_filter(LUA, inline_code='headers:replace(":authority", "x")')),
    "somebody's Wasm": add(wasm("envoy.wasm.runtime.v8")),
    "a release that the sidecar is": add({**HOST, "match": {"proxy": {"proxyVersion": r"^1\.31.*"}}}),
}
PLAYS_NO_PART: dict[str, Change] = {
    "other sidecars": add(HOST, selector="other"),
    "another namespace": add(HOST, selector="", namespace="elsewhere"),
    "gateways": add({**HOST, "match": {**HOST["match"], "context": "GATEWAY"}}),
    "waypoints": add(HOST, selector="", targetRefs=[{"kind": "Service", "name": "prometheus"}]),
    "the other direction": add({**HOST, "match": {**HOST["match"], "context": "SIDECAR_INBOUND"}}, selector=PROXY),
    "another route table": add(patch("VIRTUAL_HOST", "ADD", ROUTE, routeConfiguration={"name": "80"})),
    "another virtual host": add(
        patch("HTTP_ROUTE", "REMOVE", None, routeConfiguration={"vhost": {"name": "other.svc.cluster.local:80"}})
    ),
    "another port": add(http_filter(FAULT, "SIDECAR_INBOUND", {"portNumber": 8443}), selector=SERVER),
    "another cluster": add(patch("CLUSTER", "MERGE", TLS, cluster={"service": f"other.{NS}.svc.cluster.local"})),
    "a cluster of its own": add(patch("CLUSTER", "ADD", {"name": "ext_authz", "type": "STRICT_DNS"})),
    "a listener of its own": add(
        patch("LISTENER", "ADD", {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 9999}}})
    ),
    "keepalive of the cluster": add(patch("CLUSTER", "MERGE", {"upstream_connection_options": {"tcp_keepalive": {}}})),
    "a timeout": add(patch("HTTP_ROUTE", "MERGE", {"route": {"timeout": "0s"}})),
    "a response header": add(
        patch("VIRTUAL_HOST", "MERGE", {"response_headers_to_add": [{"header": {"key": "a", "value": "b"}}]})
    ),
    "an access log": add(patch("NETWORK_FILTER", "MERGE", {"typed_config": {"access_log": []}}, "ANY")),
    "Lua that only adds a header": add(http_filter(LUA, "ANY", inlineCode='response:headers():add("a", "b")')),
    "Istio's own telemetry of old": add(
        wasm("envoy.wasm.runtime.null"),
        http_filter("type.googleapis.com/stats.PluginConfig", "SIDECAR_INBOUND"),
        patch("CLUSTER", "MERGE", METADATA),
        selector="",
        namespace="istio-system",
    ),
    "another release": add({**HOST, "match": {"proxy": {"proxyVersion": r"^1\.13.*"}}}, selector=""),
}


@pytest.mark.parametrize("name", MATTERS)
def test_by_configuration_alone_a_filter_that_can_touch_the_hop_leaves_the_verdict_open(name: str) -> None:
    world = World()
    both(SOUND, MATTERS[name])(world)
    found = to_dict(world.diagnose())
    assert (found["verdict"]["status"], found["verdict"]["code"]) == ("inconclusive", "QP603")
    assert found["verdict"]["certainty"] == "predicted"
    assert [sentence for sentence in found["unknown"] if "EnvoyFilter/" in sentence and "would tell" in sentence]


@pytest.mark.parametrize("name", PLAYS_NO_PART)
def test_a_filter_that_cannot_touch_the_hop_makes_no_noise(name: str) -> None:
    world = World()
    both(SOUND, PLAYS_NO_PART[name])(world)
    found = to_dict(world.diagnose())
    assert (found["verdict"]["status"], found["unknown"]) == ("healthy", [])
    assert "QP603" not in {finding["code"] for finding in found["findings"]}


@pytest.mark.parametrize("question", [WITHOUT_LOGS, WITHOUT_ENVOY, QUESTION], ids=["Envoy", "logs", "both"])
def test_the_verdict_stands_where_a_witness_agrees_with_it(question: Any) -> None:
    assert prepared(both(SOUND, add(HOST))).diagnose(question).judgement.verdict.status == "healthy"
    world = prepared(add(HOST))
    broken = world.diagnose(question).judgement.verdict
    assert (broken.status, broken.code) == ("broken", "QP101")
    assert len(world.asked) <= 25


def test_what_a_filter_in_between_does_only_a_query_shows() -> None:
    world = prepared(both(SOUND, MATTERS["a filter that answers by itself"]))
    without = world.diagnose(WITHOUT_LOGS)
    assert without.judgement.verdict.code == "QP603"
    assert "access log of a query that passes" in without.judgement.verdict.summary
    assert world.diagnose(WITHOUT_ENVOY).judgement.verdict.status == "healthy"


def test_a_filter_on_the_way_to_the_first_server_is_settled_there() -> None:
    table = patch("VIRTUAL_HOST", "ADD", ROUTE, routeConfiguration={"name": "8080"})
    world = prepared(both(SOUND, add(table, selector="grafana")))
    assert world.diagnose().judgement.verdict.status == "healthy"
    world.logs, world.envoys = {}, {}
    found = world.diagnose().judgement
    assert (found.verdict.code, found.findings[0].hop) == ("QP603", 0)


def test_filters_that_cannot_be_listed_are_unknown_and_not_absent() -> None:
    world = World()
    SOUND(world)
    world.refused["EnvoyFilter"] = "cannot list resource"
    found = to_dict(world.diagnose())
    assert (found["verdict"]["status"], found["verdict"]["code"]) == ("inconclusive", "QP603")
    evidence = [line for finding in found["findings"] for line in finding["evidence"]]
    assert "EnvoyFilter list in namespace istio-system: cannot list resource" in evidence
    assert any("Whether EnvoyFilters change the path cannot be told" in text for text in found["unknown"])


def test_a_cluster_that_does_not_know_the_kind_has_no_filter() -> None:
    world = World()
    SOUND(world)
    known = world.snapshot()
    absent = {key: Answer(served=False) for key in known.answers() if key.startswith("list EnvoyFilter ")}
    assert len(absent) == 2
    assert diagnose(QUESTION, known.extended(absent)).judgement.verdict.status == "healthy"
