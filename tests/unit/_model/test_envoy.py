# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's own rules on Envoy's own JSON: listener, filter chain, virtual host, route, cluster, inbound chains, RBAC."""

from __future__ import annotations

import json

import envoys
import pytest
from envoys import HTTP_MATCH, Json, cluster, http_chain, listener, route, table, tcp_chain, virtual_host

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    envoy_dump,
    envoy_inbound,
    envoy_plain,
    envoy_route,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import Dump

VIP = "10.96.0.4"
HOSTS = (
    virtual_host("exact", ["a.ns", "a.ns.svc"], route("outbound|9090||a.ns.svc.cluster.local")),
    virtual_host("suffix", ["*.b.ns", "*.long.b.ns"], route("outbound|9090||b.ns.svc.cluster.local")),
    virtual_host("longer suffix", ["*.very.long.b.ns"], route("outbound|9090|v1|b.ns.svc.cluster.local")),
    virtual_host("prefix", ["www.*"], route("outbound|9090||w.ns.svc.cluster.local")),
    virtual_host("any", ["*"], route("PassthroughCluster", "allow_any")),
)
CATCH_ALL = listener("virtualOutbound", "0.0.0.0", 15001, [], tcp_chain("PassthroughCluster"))
MESH = envoys.dump(
    dynamic_listeners=[
        listener("0.0.0.0_9090", "0.0.0.0", 9090, [http_chain("9090", HTTP_MATCH)], tcp_chain("PassthroughCluster")),
        listener(f"{VIP}_9091", VIP, 9091, [tcp_chain("outbound|9091||a.ns.svc.cluster.local")]),
        listener(f"{VIP}_9092", VIP, 9092, [http_chain("a.ns:9092", HTTP_MATCH)], tcp_chain("x")),
        # Envoy does not go back: a chain that asks for raw_buffer keeps plaintext from those that ask for nothing.
        listener(f"{VIP}_9093", VIP, 9093, [tcp_chain("x"), http_chain("a.ns:9092", HTTP_MATCH)]),
        CATCH_ALL,
        {"name": "draining", "draining_state": {}},
    ],
    dynamic_route_configs=[table("9090", *HOSTS), table("a.ns:9092", virtual_host("a", ["*"], route("a")))],
    dynamic_active_clusters=[cluster("outbound|9090||a.ns.svc.cluster.local", "mTLS")],
)


def parsed(raw: Json) -> Dump:
    return envoy_dump.parse(raw)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.ns", "exact"),
        ("A.NS:8080", "exact"),
        ("x.b.ns", "suffix"),
        ("x.very.long.b.ns", "longer suffix"),
        ("b.ns", "any"),
        (".b.ns", "any"),
        ("www.example.com", "prefix"),
        ("www.", "any"),
        ("www.b.ns", "suffix"),
        ("elsewhere", "any"),
    ],
)
def test_virtual_host_by_domain(host: str, expected: str) -> None:
    assert envoy_route.outbound(parsed(MESH), VIP, 9090, host).virtual_host == expected


@pytest.mark.parametrize(
    ("port", "address", "version", "expected"),
    [
        (9090, VIP, "http/1.1", ("0.0.0.0_9090", "http")),
        (9090, VIP, "http/1.0", ("0.0.0.0_9090", "tcp")),
        (9091, VIP, "http/1.1", (f"{VIP}_9091", "tcp")),
        (9091, "10.96.0.5", "http/1.1", ("virtualOutbound", "tcp")),
        (9092, VIP, "http/1.1", (f"{VIP}_9092", "http")),
        (9092, VIP, "http/1.0", (f"{VIP}_9092", "tcp")),
        (9093, VIP, "http/1.0", (f"{VIP}_9093", "")),
        (7777, VIP, "http/1.1", ("virtualOutbound", "tcp")),
    ],
)
def test_listener_and_filter_chain(port: int, address: str, version: str, expected: tuple[str, str]) -> None:
    met = envoy_route.outbound(parsed(MESH), address, port, "a.ns", version)
    assert (met.listener, met.kind) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.ns", "service"),
        ("x.b.ns", "no_cluster"),
        ("elsewhere", "passthrough"),
    ],
)
def test_kind_in_the_words_of_the_model(host: str, expected: str) -> None:
    dump = parsed(MESH)
    met = envoy_route.outbound(dump, VIP, 9090, host)
    assert envoy_route.kind(dump, met, "a.ns.svc.cluster.local", 9090) == expected


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([envoys.BLOCK_ALL], "blocked"),
        ([{"match": {"prefix": "/"}, "direct_response": {"status": 418}}], "unknown"),
        ([{"match": {"prefix": "/"}, "redirect": {}}], "unknown"),
        ([route("BlackHoleCluster")], "blocked"),
        ([route("AllowAnyDynamicDNSCluster")], "dynamic_dns"),
        ([route("outbound|9090||a.ns.svc.cluster.local"), route("b")], "service"),
        ([route("a", match={"prefix": "/api"}), route("b")], "unknown"),
        ([route("outbound|9090||a.ns.svc.cluster.local", match={"prefix": "/api"})], "unknown"),
        (
            [{"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a"}, {"name": "b"}]}}}],
            "unknown",
        ),
        ([], "unknown"),
        ([route("made-by-an-EnvoyFilter")], "no_cluster"),
    ],
)
def test_kind_of_a_route(routes: list[Json], expected: str) -> None:
    raw = {
        **MESH,
        "configs": [
            {**MESH["configs"][0], "dynamic_route_configs": [table("9090", virtual_host("v", ["*"], *routes))]}
        ],
    }
    dump = parsed(raw)
    met = envoy_route.outbound(dump, VIP, 9090, "a.ns")
    assert envoy_route.kind(dump, met, "a.ns.svc.cluster.local", 9090) == expected


def test_a_route_can_change_the_host() -> None:
    entry = route("a", host_rewrite_literal="b.ns")
    raw = envoys.dump(
        dynamic_listeners=[listener("0.0.0.0_9090", "0.0.0.0", 9090, [http_chain("9090")])],
        dynamic_route_configs=[table("9090", virtual_host("v", ["*"], entry))],
    )
    assert envoy_route.outbound(parsed(raw), VIP, 9090, "a.ns").host == "b.ns"


def test_without_any_listener_nothing_is_met() -> None:
    assert envoy_route.outbound(parsed(envoys.dump()), VIP, 9090, "a.ns").listener == ""


def test_entries_come_alike_from_a_whole_dump_and_from_one_resource() -> None:
    entries = MESH["configs"][0]
    single = [
        {"@type": f"type.googleapis.com/envoy.admin.v3.XConfigDump.{kind}", **entry}
        for kind, field in (
            ("DynamicListener", "dynamic_listeners"),
            ("DynamicRouteConfig", "dynamic_route_configs"),
            ("DynamicCluster", "dynamic_active_clusters"),
        )
        for entry in entries[field]
    ]
    assert parsed({"configs": single}) == parsed(MESH)


def endpoint(address: str, mode: str) -> Json:
    metadata = {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": mode}}} if mode else {}
    socket = {"socket_address": {"address": address, "port_value": 9090}}
    return {"endpoint": {"address": socket}, "metadata": metadata}


AUTO_MTLS = {
    "name": "c",
    "transport_socket_matches": [
        {
            "match": {"tlsMode": "istio"},
            "transport_socket": cluster("", "mTLS")["cluster"]["transport_socket"],
        },
        {"match": {}, "transport_socket": {"typed_config": {"@type": "x.RawBuffer"}}},
    ],
}


@pytest.mark.parametrize(
    ("modes", "expected"),
    [(["istio", "istio"], "mTLS"), (["istio", ""], "mixed"), (["", "disabled"], "plaintext")],
)
def test_auto_mtls_by_the_metadata_of_each_endpoint(modes: list[str], expected: str) -> None:
    entries = [endpoint(f"10.9.1.{index}", mode) for index, mode in enumerate(modes)]
    assignment = {"endpoint_config": {"cluster_name": "c", "endpoints": [{"lb_endpoints": entries}]}}
    dump = parsed(envoys.dump(dynamic_active_clusters=[{"cluster": AUTO_MTLS}], dynamic_endpoint_configs=[assignment]))
    assert envoy_route.transport(dump, "c", [(f"10.9.1.{index}", 9090) for index in range(len(modes))]) == expected


def test_an_endpoint_behind_a_tunnel_is_reached_by_mtls() -> None:
    tunnel = {
        "match": {"tunnel": "http"},
        "transport_socket": {"typed_config": {"@type": "x.InternalUpstreamTransport"}},
    }
    body = {**AUTO_MTLS, "transport_socket_matches": [tunnel, *AUTO_MTLS["transport_socket_matches"]]}
    through = endpoint("10.9.1.0", "")
    through["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": {"tunnel": "http"}}}
    entries = [through, endpoint("10.9.1.1", "")]
    assignment = {"endpoint_config": {"cluster_name": "c", "endpoints": [{"lb_endpoints": entries}]}}
    dump = parsed(envoys.dump(dynamic_active_clusters=[{"cluster": body}], dynamic_endpoint_configs=[assignment]))
    assert envoy_route.transport(dump, "c", [("10.9.1.0", 9090)]) == "mTLS"
    assert envoy_route.transport(dump, "c", [("10.9.1.1", 9090)]) == "plaintext"


def test_a_workload_certificate_from_files_is_known_by_its_alpn() -> None:
    raw = cluster("c", "TLS")
    context = raw["cluster"]["transport_socket"]["typed_config"]["common_tls_context"]
    context |= {"tls_certificate_sds_secret_configs": [{"name": "file-cert:x"}], "alpn_protocols": ["istio"]}
    assert envoy_route.transport(parsed(envoys.dump(dynamic_active_clusters=[raw])), "c", [("a", 1)]) == "mTLS"


def test_listeners_of_both_address_families() -> None:
    shared = listener("::_9090", "::", 9090, [tcp_chain("any")])
    own = listener(f"{VIP}_9091", VIP, 9091, [tcp_chain("own")])
    more = [{"address": {"socket_address": {"address": "fd00::4", "port_value": 9091}}}]
    own["active_state"]["listener"]["additional_addresses"] = more
    dump = parsed(envoys.dump(dynamic_listeners=[shared, own, CATCH_ALL]))
    assert envoy_route.outbound(dump, "fd00::4", 9090, "a").cluster == "any"
    assert envoy_route.outbound(dump, "fd00::4", 9091, "a").cluster == "own"
    assert envoy_route.outbound(dump, "fd00::5", 9091, "a").cluster == "PassthroughCluster"


@pytest.mark.parametrize("mode", ["mTLS", "TLS", "plaintext"])
def test_a_cluster_with_one_setting_for_all(mode: str) -> None:
    dump = parsed(envoys.dump(dynamic_active_clusters=[cluster("c", mode)]))
    assert envoy_route.transport(dump, "c", [("10.9.1.1", 1), ("10.9.1.2", 1)]) == mode
    assert envoy_route.transport(dump, "other", [("10.9.1.1", 1)]) == "unknown"


TLS = {"typed_config": {"@type": "x.DownstreamTlsContext", "require_client_certificate": True}}


def inbound(*chains: Json) -> Dump:
    return parsed(envoys.dump(dynamic_listeners=[listener("virtualInbound", "0.0.0.0", 15006, list(chains))]))


def on(port: int, transport: str, **rbac: Json) -> Json:
    match = {"destination_port": port, "transport_protocol": transport} if port else {"transport_protocol": transport}
    chain = tcp_chain("inbound|1||", match, rbac.get("rbac"))
    return {**chain, "transport_socket": TLS} if transport == "tls" else chain


@pytest.mark.parametrize(
    ("chains", "mode"),
    [
        ([on(9090, "tls")], "STRICT"),
        ([on(9090, "tls"), on(9090, "raw_buffer")], "PERMISSIVE"),
        ([on(9090, "raw_buffer")], "DISABLE"),
        ([on(9091, "raw_buffer"), on(0, "tls")], "STRICT"),
        ([on(9091, "raw_buffer")], ""),
        ([], ""),
    ],
)
def test_what_a_port_accepts(chains: list[Json], mode: str) -> None:
    assert envoy_inbound.accepted(inbound(*chains), 9090).mode == mode


def rules(action: str | None, *policies: Json) -> Json:
    body: Json = {"policies": {f"ns[a]-policy[p]-rule[{index}]": entry for index, entry in enumerate(policies)}}
    return {"rbac": {"rules": {**body, **({"action": action} if action else {})}}}


EVERYONE = {
    "permissions": [{"and_rules": {"rules": [{"any": True}]}}],
    "principals": [{"and_ids": {"ids": [{"any": True}]}}],
}
SOME = {**EVERYONE, "principals": [{"and_ids": {"ids": [{"authenticated": {}}]}}]}
NONE = {**EVERYONE, "permissions": [{"and_rules": {"rules": []}}]}


@pytest.mark.parametrize(
    ("rbac", "denies", "everyone"),
    [
        (rules(None), True, []),
        (rules(None, SOME), False, [False]),
        (rules("DENY", EVERYONE), False, [True]),
        (rules("DENY", SOME, NONE), False, [False, False]),
        (rules("LOG", EVERYONE), False, [True]),
        ({}, False, []),
    ],
)
def test_policies_on_a_tcp_chain(rbac: Json, denies: bool, everyone: list[bool]) -> None:
    found = envoy_inbound.accepted(inbound(on(9090, "tls", **rbac)), 9090)
    assert (found.denies, [rule.everyone for rule in found.rules["tcp"]]) == (denies, everyone)


def test_a_reduced_dump_survives_a_snapshot() -> None:
    for raw in (
        MESH,
        envoys.dump(
            dynamic_listeners=[listener("virtualInbound", "0.0.0.0", 15006, [on(1, "tls", **rules("DENY", SOME))])]
        ),
    ):
        dump = parsed(raw)
        assert envoy_plain.from_object(json.loads(json.dumps(envoy_plain.to_object(dump)))) == dump


def test_secrets_are_never_taken_over() -> None:
    raw = json.loads(json.dumps(MESH))
    entries = raw["configs"][0]
    entries["dynamic_active_secrets"] = [{"secret": {"tls_certificate": {"private_key": "s3cret"}}}]
    chain = entries["dynamic_listeners"][0]["active_state"]["listener"]["filter_chains"][0]
    chain["filters"][0]["typed_config"]["http_filters"] = [
        {"name": "lua", "typed_config": {"token": "s3cret"}},
        {
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "rules": {"policies": {"p": {"permissions": [{"header": {"string_match": {"exact": "s3cret"}}}]}}}
            },
        },
    ]
    entries["dynamic_route_configs"][0]["route_config"]["request_headers_to_add"] = [{"header": {"value": "s3cret"}}]
    entries["dynamic_active_clusters"][0]["cluster"]["metadata"] = {"token": "s3cret"}
    assert "s3cret" not in json.dumps(envoy_plain.to_object(parsed(raw)))


@pytest.mark.parametrize("raw", [{}, {"configs": None}, {"configs": [None, {"dynamic_listeners": [None, {}]}]}])
def test_a_broken_dump_holds_less_and_does_not_fail(raw: Json) -> None:
    assert parsed(raw).tables == ()
