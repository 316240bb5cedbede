# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole walk: what it asks, what it carries along, what it returns."""

from __future__ import annotations

import json

from world import PROMETHEUS_HOST, PROXY_HOST, QUESTION, World, istio, obj, service, workload

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict


def test_a_lone_annotation_is_reported_as_read_by_nothing() -> None:
    world = World()
    world.get("Service", "prometheus")["metadata"]["annotations"] = {"networking.istio.io/service-protocol": "tcp"}
    findings = {finding.code: finding for finding in world.diagnose().judgement.findings}
    assert findings["QP401"].status == "notice"
    assert "IST0108" in findings["QP401"].evidence[0]


def test_the_verdict_says_what_the_same_path_does_under_both_modes() -> None:
    under = World().diagnose().judgement.verdict.under
    assert "filter_chain_not_found" in under["STRICT"]
    assert "unencrypted" in under["PERMISSIVE"]


def test_a_diagnosis_asks_little_and_the_same_in_a_large_cluster() -> None:
    small, large = World(), World()
    for index in range(300):
        large.add(service(f"other-{index}", 9090, "http", f"10.97.0.{index}"))
        large.add(istio("VirtualService", f"vs-{index}", {"hosts": [f"other-{index}"]}, namespace="elsewhere"))
    small.diagnose()
    large.diagnose()
    assert len(small.asked) == len(large.asked) <= 25


def test_three_namespaces_still_take_no_more_than_the_budget() -> None:
    world = World()
    for candidate in world.objects:
        if candidate["metadata"]["name"].startswith("grafana"):
            candidate["metadata"]["namespace"] = "dashboards"
        if candidate["metadata"]["name"].startswith("prom-label-proxy"):
            candidate["metadata"]["namespace"] = "proxies"
    question = Question("dashboards", "grafana", datasource_url="http://prom-label-proxy.proxies:8080")
    verdict = world.diagnose(question).judgement.verdict
    assert (verdict.status, verdict.code) == ("broken", "QP101")
    assert len(world.asked) <= 25


def test_two_hops_in_other_namespaces_carry_the_host_along() -> None:
    world = World().add(
        *workload(
            "gate",
            "quay.io/prometheuscommunity/prom-label-proxy:v0.15.0",
            8081,
            ["--upstream=http://prom-label-proxy:8080", "--label=team"],
        ),
        service("gate", 8081, "http", "10.96.0.9"),
    )
    hops = world.diagnose(QUESTION._replace(datasource_url="http://gate:8081")).path.hops
    assert [hop.host for hop in hops] == ["gate:8081"] * 3
    assert [hop.route.kind for hop in hops] == ["service", "passthrough", "passthrough"]


def test_the_result_is_plain_json() -> None:
    assert json.loads(json.dumps(to_dict(World().diagnose())))["verdict"]["code"] == "QP101"


def test_a_virtual_service_that_rewrites_the_authority_heals_the_next_hop() -> None:
    rule = {"route": [{"destination": {"host": PROXY_HOST}}], "rewrite": {"authority": PROMETHEUS_HOST}}
    world = World().add(istio("VirtualService", "rewrite", {"hosts": [PROXY_HOST], "http": [rule]}))
    assert world.diagnose().judgement.verdict.status == "healthy"


def test_hostile_names_do_not_change_the_verdict() -> None:
    world = World().add(obj("Service", "{{ 7*7 }}", {"ports": None, "selector": None, "clusterIP": None}))
    assert world.diagnose().judgement.verdict.code == "QP101"
