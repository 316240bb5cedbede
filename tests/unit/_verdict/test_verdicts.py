# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pattern beside its healthy look-alike: a path that looks odd and is sound must come out sound."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, QUESTION, World, istio, obj, service, workload

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict

Change = Callable[[World], object]
ALIAS = {
    "hosts": [PROMETHEUS_HOST, PROXY_HOST],
    "http": [
        {
            "match": [{"port": 9090, "sourceLabels": {"app.kubernetes.io/name": "prom-label-proxy"}}],
            "route": [{"destination": {"host": PROMETHEUS_HOST, "port": {"number": 9090}}}],
        }
    ],
}


def rewrite(host: str) -> Change:
    return lambda world: world.proxy_args(lambda args: [*args, f"--rewrite-host-header-to={host}"])


def destination_rule(tls: dict[str, str], **spec: object) -> Change:
    def change(world: World) -> None:
        rewrite(PROMETHEUS_HOST)(world)
        world.add(istio("DestinationRule", "rule", {"host": "prometheus", "trafficPolicy": {"tls": tls}, **spec}))

    return change


def virtual_service(**changes: object) -> Change:
    return lambda world: world.add(istio("VirtualService", "alias", {**ALIAS, **changes}))


def without(key: str) -> Change:
    rule = {**ALIAS["http"][0], "match": [{k: v for k, v in ALIAS["http"][0]["match"][0].items() if k != key}]}
    return virtual_service(http=[rule])


def mesh(**settings: object) -> Change:
    return lambda world: world.mesh.update(settings)


def both(*changes: Change) -> Change:
    return lambda world: [change(world) for change in changes]


def no_sidecar(name: str) -> Change:
    def change(world: World) -> None:
        pod = world.get("Pod", f"{name}-abc-1")
        del pod["spec"]["initContainers"]
        del pod["metadata"]["labels"]["security.istio.io/tlsMode"]

    return change


def policy(action: str, rule: dict[str, object]) -> Change:
    body = {"action": action, "rules": [rule]}
    return lambda world: world.port("prometheus", appProtocol="tcp").add(istio("AuthorizationPolicy", "az", body))


METHODS = {"to": [{"operation": {"methods": ["GET"]}}]}
PRINCIPALS = {"from": [{"source": {"principals": ["cluster.local/ns/monitoring/sa/prom-label-proxy"]}}]}
SIDECAR_TCP = {
    "workloadSelector": {"labels": {"app.kubernetes.io/name": "prom-label-proxy"}},
    "egress": [
        {"port": {"number": 9090, "protocol": "TCP", "name": "tcp"}, "hosts": [f"./{PROMETHEUS_HOST}"]},
        {"hosts": ["*/*"]},
    ],
}

CASES: dict[str, tuple[Change, str, str]] = {
    # name: what differs from the stack, expected status, expected code
    "foreign Host, STRICT": (lambda _: None, "broken", "QP101"),
    "foreign Host, PERMISSIVE": (lambda w: w.peer_authentication("PERMISSIVE"), "at_risk", "QP101"),
    "foreign Host, no policy at all": (lambda w: w.remove("PeerAuthentication", "default"), "at_risk", "QP101"),
    "foreign Host, Prometheus outside the mesh": (no_sidecar("prometheus"), "healthy", ""),
    "foreign Host, appProtocol http on an undeclared name": (
        lambda w: w.port("prometheus", name="web", appProtocol="http"),
        "broken",
        "QP101",
    ),
    "foreign Host, grpc-web name": (lambda w: w.port("prometheus", name="grpc-web-x"), "broken", "QP101"),
    "right Host by flag": (rewrite(PROMETHEUS_HOST), "healthy", ""),
    "right Host with a port": (rewrite(f"{PROMETHEUS_HOST}:9090"), "healthy", ""),
    "right Host, short name": (rewrite("prometheus"), "healthy", ""),
    "right Host, trailing dot": (rewrite(f"{PROMETHEUS_HOST}."), "healthy", ""),
    "right Host, upper case": (rewrite(PROMETHEUS_HOST.upper()), "healthy", ""),
    "right Host, the ClusterIP": (rewrite("10.96.0.4:9090"), "healthy", ""),
    "rewritten to a public name": (rewrite("grafana.example.com"), "broken", "QP101"),
    "port undeclared": (lambda w: w.port("prometheus", name="web"), "healthy", ""),
    "port declared TCP by name": (lambda w: w.port("prometheus", name="tcp-web"), "healthy", ""),
    "appProtocol tcp over an http name": (lambda w: w.port("prometheus", appProtocol="tcp"), "healthy", ""),
    "unknown appProtocol over an http name": (lambda w: w.port("prometheus", appProtocol="a.example/x"), "healthy", ""),
    "a name that looks like TCP and is none": (lambda w: w.port("prometheus", name="tcpweb"), "healthy", ""),
    "REGISTRY_ONLY": (mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}), "broken", "QP102"),
    "REGISTRY_ONLY, PERMISSIVE": (
        both(mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}), lambda w: w.peer_authentication("PERMISSIVE")),
        "broken",
        "QP102",
    ),
    "REGISTRY_ONLY, right Host": (
        both(mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}), rewrite(PROMETHEUS_HOST)),
        "healthy",
        "",
    ),
    "REGISTRY_ONLY by Sidecar resource": (
        lambda w: w.add(istio("Sidecar", "default", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})),
        "broken",
        "QP102",
    ),
    "ALLOW_ANY_DYNAMIC_DNS": (mesh(outboundTrafficPolicy={"mode": "ALLOW_ANY_DYNAMIC_DNS"}), "broken", "QP104"),
    "Host of the proxy's own metrics port": (
        lambda w: w.get("Service", "prom-label-proxy")["spec"]["ports"].append(
            {"name": "http-metrics", "port": 9090, "targetPort": 9091}
        ),
        "broken",
        "QP103",
    ),
    "proxy's own 9090 is TCP": (
        lambda w: w.get("Service", "prom-label-proxy")["spec"]["ports"].append(
            {"name": "tcp-metrics", "port": 9090, "targetPort": 9091}
        ),
        "broken",
        "QP101",
    ),
    "alias VirtualService": (virtual_service(), "healthy", ""),
    "alias for another client": (
        lambda w: w.add(
            istio(
                "VirtualService",
                "alias",
                {**ALIAS, "http": [{**ALIAS["http"][0], "match": [{"port": 9090, "sourceLabels": {"app": "x"}}]}]},
            )
        ),
        "broken",
        "QP101",
    ),
    "alias without the upstream's host": (virtual_service(hosts=[PROXY_HOST]), "broken", "QP101"),
    "alias for gateways only": (virtual_service(gateways=["istio-system/public"]), "broken", "QP101"),
    "alias not exported": (virtual_service(exportTo=["elsewhere"]), "broken", "QP101"),
    "alias without sourceLabels": (without("sourceLabels"), "healthy", ""),
    "alias without a port match takes the proxy out of the path": (
        virtual_service(http=[{"route": ALIAS["http"][0]["route"]}]),
        "broken",
        "QP103",
    ),
    "alias to a port that does not exist": (
        virtual_service(http=[{"route": [{"destination": {"host": PROMETHEUS_HOST, "port": {"number": 1}}}]}]),
        "broken",
        "QP105",
    ),
    "DestinationRule DISABLE": (destination_rule({"mode": "DISABLE"}), "broken", "QP201"),
    "DestinationRule tls {}": (destination_rule({}), "broken", "QP201"),
    "DestinationRule SIMPLE": (destination_rule({"mode": "SIMPLE"}), "broken", "QP201"),
    "DestinationRule DISABLE, PERMISSIVE": (
        both(destination_rule({"mode": "DISABLE"}), lambda w: w.peer_authentication("PERMISSIVE")),
        "at_risk",
        "QP201",
    ),
    "DestinationRule ISTIO_MUTUAL": (destination_rule({"mode": "ISTIO_MUTUAL"}), "healthy", ""),
    "DestinationRule ISTIO_MUTUAL on a foreign Host": (
        lambda w: w.add(
            istio("DestinationRule", "rule", {"host": "prometheus", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}})
        ),
        "broken",
        "QP101",
    ),
    "DestinationRule without tls": (destination_rule({}, trafficPolicy={"connectionPool": {}}), "healthy", ""),
    "DestinationRule DISABLE for another client": (
        destination_rule({"mode": "DISABLE"}, workloadSelector={"matchLabels": {"app": "x"}}),
        "healthy",
        "",
    ),
    "DestinationRule DISABLE for another port": (
        destination_rule(
            {}, trafficPolicy={"portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "DISABLE"}}]}
        ),
        "healthy",
        "",
    ),
    "port settings replace the rest": (
        destination_rule(
            {},
            trafficPolicy={
                "tls": {"mode": "ISTIO_MUTUAL"},
                "portLevelSettings": [{"port": {"number": 9090}, "tls": {"mode": "DISABLE"}}],
            },
        ),
        "broken",
        "QP201",
    ),
    "no auto mTLS": (both(mesh(enableAutoMtls=False), rewrite(PROMETHEUS_HOST)), "broken", "QP202"),
    "no auto mTLS but a rule for the namespace": (
        both(
            mesh(enableAutoMtls=False),
            rewrite(PROMETHEUS_HOST),
            lambda w: w.add(
                istio(
                    "DestinationRule",
                    "all",
                    {"host": f"*.{NS}.svc.cluster.local", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
                )
            ),
        ),
        "healthy",
        "",
    ),
    "namespace DISABLE under a workload STRICT": (
        both(
            rewrite(PROMETHEUS_HOST),
            lambda w: w.peer_authentication("DISABLE").add(
                istio(
                    "PeerAuthentication",
                    "strict",
                    {
                        "selector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                        "mtls": {"mode": "STRICT"},
                    },
                )
            ),
        ),
        "broken",
        "QP203",
    ),
    "port opened by portLevelMtls": (
        lambda w: w.add(
            istio(
                "PeerAuthentication",
                "open",
                {
                    "selector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                    "portLevelMtls": {"9090": {"mode": "PERMISSIVE"}},
                },
            )
        ),
        "at_risk",
        "QP101",
    ),
    "proxy without a sidecar": (no_sidecar("prom-label-proxy"), "broken", "QP301"),
    "server whose pods lack the tlsMode label": (
        both(
            rewrite(PROMETHEUS_HOST),
            lambda w: w.get("Pod", "prometheus-abc-1")["metadata"]["labels"].pop("security.istio.io/tlsMode"),
        ),
        "broken",
        "QP301",
    ),
    "Sidecar resource that declares TCP": (lambda w: w.add(istio("Sidecar", "proxy", SIDECAR_TCP)), "healthy", ""),
    "Sidecar resource that hides Prometheus": (
        both(
            rewrite(PROMETHEUS_HOST),
            lambda w: w.add(
                istio("Sidecar", "default", {"egress": [{"hosts": ["istio-system/*", f"./{PROXY_HOST}"]}]})
            ),
        ),
        "broken",
        "QP106",
    ),
    "annotation alone": (
        lambda w: w.get("Service", "prometheus")["metadata"].update(
            annotations={"networking.istio.io/service-protocol": "tcp"}
        ),
        "broken",
        "QP101",
    ),
    "HTTP-only ALLOW policy on TCP": (policy("ALLOW", METHODS), "broken", "QP501"),
    "HTTP-only DENY policy on TCP": (policy("DENY", METHODS), "broken", "QP501"),
    "DENY policy on TCP that keeps a source": (policy("DENY", {**METHODS, **PRINCIPALS}), "at_risk", "QP501"),
    "CUSTOM policy on TCP": (policy("CUSTOM", METHODS), "at_risk", "QP501"),
    "L4 ALLOW policy on TCP": (policy("ALLOW", PRINCIPALS), "healthy", ""),
    "HTTP-only policy of another workload": (
        lambda w: w.port("prometheus", appProtocol="tcp").add(
            istio("AuthorizationPolicy", "az", {"selector": {"matchLabels": {"app": "x"}}, "rules": [METHODS]})
        ),
        "healthy",
        "",
    ),
    "VirtualServices cannot be read": (
        both(rewrite(PROMETHEUS_HOST), lambda w: w.refused.update(VirtualService="403 Forbidden")),
        "inconclusive",
        "QP902",
    ),
    "ServiceEntry for the Host": (
        lambda w: w.add(
            istio("ServiceEntry", "se", {"hosts": [PROXY_HOST], "ports": [{"number": 9090, "protocol": "HTTP"}]})
        ),
        "inconclusive",
        "QP902",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_judged_as_istio_treats_it(name: str) -> None:
    change, status, code = CASES[name]
    world = World()
    change(world)
    verdict = world.diagnose().judgement.verdict
    assert (verdict.status, verdict.code) == (status, code), verdict.summary


def test_a_lone_annotation_is_reported_as_read_by_nothing() -> None:
    world = World()
    CASES["annotation alone"][0](world)
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
