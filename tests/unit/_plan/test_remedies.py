# SPDX-License-Identifier: GPL-3.0-or-later
"""What is offered for an ill path, in which order, at what price, and what is refused with which reason."""

from __future__ import annotations

import copy

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, QUESTION, USAGE_0_11, World, istio, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import DEFAULT_OPTIONS
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Options, Remedy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.restart import ANNOTATION


def remedies(world: World, options: Options = DEFAULT_OPTIONS) -> dict[str, Remedy]:
    found = world.diagnose(options=options).remedies
    return {f"{remedy.strategy} {remedy.protocol}".strip(): remedy for remedy in found}


def sound_but(tls: dict[str, str] | None = None, **spec: object) -> World:
    """A path whose Host is right, with a DestinationRule for Prometheus."""
    world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    policy = {} if tls is None else {"trafficPolicy": {"tls": tls}}
    return world.add(istio("DestinationRule", "rule", {"host": "prometheus", **policy, **spec}))


def test_remedies_are_ranked_by_the_harm_that_they_do() -> None:
    order = [f"{remedy.strategy} {remedy.protocol}".strip() for remedy in World().diagnose().remedies]
    assert order == ["host_rewrite", "route_alias", "service_protocol auto", "service_protocol tcp", "destination_rule"]


def test_a_sound_path_needs_no_remedy() -> None:
    assert World().port("prometheus", appProtocol="tcp").diagnose().remedies == ()


def test_a_destination_rule_is_refused_for_a_foreign_host_with_the_reason() -> None:
    remedy = remedies(World())["destination_rule"]
    assert not remedy.applicable
    assert "PassthroughCluster" in remedy.reason


def test_host_rewrite_sets_the_flag_and_nothing_else() -> None:
    change = remedies(World())["host_rewrite"].changes[0]
    (label,) = change.after
    assert change.after[label] == [*change.before[label], f"--rewrite-host-header-to={PROMETHEUS_HOST}"]
    assert str(change.target) == f"Deployment/{NS}/prom-label-proxy"


def test_host_rewrite_replaces_a_wrong_host() -> None:
    world = World().proxy_args(lambda args: [*args, "--rewrite-host-header-to", "wrong.example.com"])
    (arguments,) = remedies(world)["host_rewrite"].changes[0].after.values()
    assert [word for word in arguments if "rewrite-host" in word] == [f"--rewrite-host-header-to={PROMETHEUS_HOST}"]
    assert "wrong.example.com" not in arguments


def old_proxy(world: World, usage: Answer) -> Remedy:
    image = "quay.io/prometheuscommunity/prom-label-proxy:v0.11.1"
    world.get("Pod", "prom-label-proxy-abc-1")["spec"]["containers"][0]["image"] = image
    world.usage = usage
    return remedies(world)["host_rewrite"]


def test_host_rewrite_is_refused_where_the_program_does_not_know_the_flag() -> None:
    remedy = old_proxy(World(), Answer(text=USAGE_0_11))
    assert not remedy.applicable
    assert "0.11.1" in remedy.reason
    assert "0.15.0" in remedy.reason


def test_what_the_program_says_counts_more_than_its_tag() -> None:
    world = World()
    world.usage = Answer(text=USAGE_0_11)
    assert not remedies(world)["host_rewrite"].applicable


def test_without_leave_to_ask_the_program_its_tag_decides() -> None:
    assert not old_proxy(World(), Answer(problem="403 Forbidden")).applicable
    world = World()
    world.usage = Answer(problem="403 Forbidden")
    assert remedies(world)["host_rewrite"].applicable


def test_an_image_that_says_nothing_about_its_version_is_refused() -> None:
    world = World()
    world.usage = Answer(problem="403 Forbidden")
    world.get("Pod", "prom-label-proxy-abc-1")["spec"]["containers"][0]["image"] = (
        "registry.example/prom-label-proxy:main"
    )
    remedy = remedies(world)["host_rewrite"]
    assert not remedy.applicable
    assert "403 Forbidden" in remedy.reason


def test_route_alias_names_both_hosts_the_port_and_the_client() -> None:
    body = remedies(World())["route_alias"].changes[0].body["spec"]
    assert body["hosts"][:2] == [PROMETHEUS_HOST, PROXY_HOST]
    (rule,) = body["http"]
    assert rule["match"] == [{"port": 9090, "sourceLabels": {"app.kubernetes.io/name": "prom-label-proxy"}}]
    assert body["exportTo"] == ["."]


def test_route_alias_is_refused_where_another_virtual_service_has_the_host() -> None:
    other = istio("VirtualService", "canary", {"hosts": ["prometheus"], "tcp": []})
    remedy = remedies(World().add(other))["route_alias"]
    assert not remedy.applicable
    assert "VirtualService/monitoring/canary" in remedy.reason


def test_route_alias_is_refused_for_a_host_that_cannot_be_expressed() -> None:
    found = World().diagnose(QUESTION._replace(datasource_url="http://prom-label-proxy:8080")).remedies
    assert "no dot" in next(remedy.reason for remedy in found if remedy.strategy == "route_alias")


@pytest.mark.parametrize(
    ("key", "value"), [("service_protocol tcp", "tcp"), ("service_protocol auto", "istio-remediation.meshops/auto")]
)
def test_service_protocol_declares_it_where_istio_reads(key: str, value: str) -> None:
    change = remedies(World())[key].changes[0]
    assert change.after == {"spec.ports[9090].appProtocol": value}
    assert change.before == {"spec.ports[9090].appProtocol": None}


def test_the_annotation_is_written_only_if_asked_for() -> None:
    plain = remedies(World())["service_protocol tcp"].changes[0]
    asked = remedies(World(), Options(annotate=True))["service_protocol tcp"].changes[0]
    assert "service-protocol" not in str(plain.patch)
    assert {"networking.istio.io/service-protocol": "tcp"} in asked.after.values()


def test_tcp_needs_consent_to_what_it_does_to_a_policy() -> None:
    rule = {"to": [{"operation": {"methods": ["GET", "POST"], "paths": ["/api/*"]}}]}
    world = World().add(istio("AuthorizationPolicy", "readers", {"action": "ALLOW", "rules": [rule]}))
    found = remedies(world)
    tcp = found["service_protocol tcp"]
    assert tcp.applicable
    assert tcp.consent_needed == (f"denies_all:AuthorizationPolicy/{NS}/readers",)
    assert "paths" in next(effect.text for effect in tcp.effects if effect.needs_consent)
    assert found["service_protocol auto"].consent_needed == (
        f"unless_alpn_denies_all:AuthorizationPolicy/{NS}/readers",
    )
    assert found["host_rewrite"].consent_needed == ()


def test_policies_that_cannot_be_read_stop_a_change_of_protocol() -> None:
    world = World()
    world.refused["AuthorizationPolicy"] = "403 Forbidden"
    assert not remedies(world)["service_protocol tcp"].applicable
    assert remedies(world)["host_rewrite"].applicable


@pytest.mark.parametrize("tls", [{"mode": "DISABLE"}, {}, {"mode": "SIMPLE", "caCertificates": "/x.pem"}])
def test_a_destination_rule_that_forbids_mtls_is_corrected_where_it_stands(tls: dict[str, str]) -> None:
    found = remedies(sound_but(tls))
    change = found["destination_rule"].changes[0]
    assert found["destination_rule"].applicable
    assert change.after == {"spec.trafficPolicy.tls": {"mode": "ISTIO_MUTUAL"}}
    assert not found["host_rewrite"].applicable


def test_a_port_setting_is_corrected_at_the_port() -> None:
    settings = {"portLevelSettings": [{"port": {"number": 9090}, "tls": {"mode": "DISABLE"}}]}
    change = remedies(sound_but(trafficPolicy=settings))["destination_rule"].changes[0]
    assert change.after == {"spec.trafficPolicy.portLevelSettings[0].tls": {"mode": "ISTIO_MUTUAL"}}


def test_a_wide_rule_is_left_alone_and_one_for_each_host_is_added() -> None:
    world = sound_but({"mode": "DISABLE"}, host="*.local")
    changes = remedies(world)["destination_rule"].changes
    assert [(change.action, change.body["spec"]["host"]) for change in changes] == [
        ("create", PROXY_HOST),
        ("create", PROMETHEUS_HOST),
    ]


def test_without_auto_mtls_every_hop_gets_its_rule() -> None:
    world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    world.mesh["enableAutoMtls"] = False
    remedy = remedies(world)["destination_rule"]
    assert remedy.applicable
    assert [change.body["spec"]["host"] for change in remedy.changes] == [PROXY_HOST, PROMETHEUS_HOST]


def test_what_a_strategy_would_leave_ill_is_said() -> None:
    world = World()
    world.mesh["enableAutoMtls"] = False
    remedy = remedies(world)["host_rewrite"]
    assert not remedy.applicable
    assert "QP202" in remedy.reason


def test_every_patch_tests_what_it_rests_on_and_can_be_taken_back() -> None:
    for world in (World(), sound_but({"mode": "DISABLE"})):
        for remedy in world.diagnose().remedies:
            for change in remedy.changes:
                if change.action != "patch":
                    continue
                before = world.get(change.target.kind, change.target.name)
                after = json_patch.apply(before, list(change.patch))
                assert after != before
                assert json_patch.apply(after, list(change.reverse)) == before
                moved = copy.deepcopy(before)
                moved["metadata"]["uid"] = "recreated"
                with pytest.raises(json_patch.PatchError):
                    json_patch.apply(moved, list(change.patch))


def test_the_hash_names_the_plan_and_not_the_moment() -> None:
    world, later, recreated = World(), World(), World()
    later.get("Deployment", "prom-label-proxy")["metadata"]["resourceVersion"] = "2"
    recreated.get("Deployment", "prom-label-proxy")["metadata"]["uid"] = "other"
    hashes = [remedies(entry)["host_rewrite"].hash for entry in (world, later, recreated)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_owner_that_may_take_the_change_back_is_named() -> None:
    world = World()
    world.get("Service", "prometheus")["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "stack",
        "meta.helm.sh/release-namespace": NS,
    }
    texts = [effect.text for effect in remedies(world)["service_protocol tcp"].effects]
    assert any("Helm release monitoring/stack" in text for text in texts)


def test_an_older_service_keeps_the_inbound_protocol() -> None:
    world = World()
    older = obj("Service", "prometheus-operated", copy.deepcopy(world.get("Service", "prometheus")["spec"]))
    older["metadata"]["creationTimestamp"] = "2026-10-01T00:00:00Z"
    older["spec"].update(clusterIP="None", clusterIPs=["None"])
    rule = {"to": [{"operation": {"methods": ["GET"]}}]}
    world.add(older, istio("AuthorizationPolicy", "readers", {"rules": [rule]}))
    tcp = remedies(world)["service_protocol tcp"]
    assert tcp.consent_needed == ()
    assert "client_side_only" in [effect.effect for effect in tcp.effects]


@pytest.mark.parametrize("key", ["service_protocol tcp", "service_protocol auto"])
def test_a_change_that_open_connections_outlive_replaces_the_clients_pods(key: str) -> None:
    remedy = remedies(World())[key]
    assert [str(change.target) for change in remedy.changes] == [
        f"Service/{NS}/prometheus",
        f"Deployment/{NS}/prom-label-proxy",
    ]
    assert remedy.changes[1].waits_for == "rollout"
    assert "restarts" in [effect.effect for effect in remedy.effects]


def test_a_restart_always_changes_the_template() -> None:
    world = World()
    template = world.get("Deployment", "prom-label-proxy")["spec"]["template"]
    template["metadata"]["annotations"] = {ANNOTATION: "prometheus-9090=tcp"}
    (value,) = remedies(world)["service_protocol tcp"].changes[1].after.values()
    assert value == "prometheus-9090=tcp again"
