# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around a path: annotations, versions, other Services, other policies; each beside its healthy look-
alike.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from variations import METHODS, PRINCIPALS, Change, both, expect, rewrite
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World, istio, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question

SOURCE = {"uid": "x", "name": "x", "type": "prometheus", "url": f"http://{PROXY_HOST}:8080"}
SOUND = rewrite(PROMETHEUS_HOST)


def annotate(name: str, key: str, value: str) -> Change:
    return lambda w: w.get("Pod", f"{name}-abc-1")["metadata"].update(annotations={key: value})


def istio_version(tag: str) -> Change:
    def change(world: World) -> None:
        for pod in (entry for entry in world.objects if entry["kind"] == "Pod"):
            pod["spec"]["initContainers"][0]["image"] = f"docker.io/istio/proxyv2:{tag}"

    return change


def old_proxy(world: World, ready: str) -> None:
    SOUND(world)
    pod = world.get("Pod", "prom-label-proxy-abc-1")
    pod["spec"]["containers"][0]["image"] = "quay.io/prometheuscommunity/prom-label-proxy:v0.11.1"
    pod["status"]["conditions"][0]["status"] = ready


def workload_policy(name: str, created: str, mode: str) -> Callable[[World], World]:
    body = {"selector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}, "mtls": {"mode": mode}}
    return lambda w: w.add(istio("PeerAuthentication", name, body, creationTimestamp=created))


CASES: dict[str, tuple[Change, str, str]] = {
    "server port excluded, client speaks mTLS": (
        both(SOUND, annotate("prometheus", "traffic.sidecar.istio.io/excludeInboundPorts", "80, 9090")),
        "broken",
        "QP302",
    ),
    "server port excluded, client speaks plaintext": (
        annotate("prometheus", "traffic.sidecar.istio.io/excludeInboundPorts", "9090"),
        "at_risk",
        "QP302",
    ),
    "another server port excluded": (
        both(SOUND, annotate("prometheus", "traffic.sidecar.istio.io/excludeInboundPorts", "9091")),
        "healthy",
        "",
    ),
    "only other server ports included": (
        both(SOUND, annotate("prometheus", "traffic.sidecar.istio.io/includeInboundPorts", "80")),
        "broken",
        "QP302",
    ),
    "all server ports included": (
        both(SOUND, annotate("prometheus", "traffic.sidecar.istio.io/includeInboundPorts", "*")),
        "healthy",
        "",
    ),
    "client port excluded": (
        both(SOUND, annotate("prom-label-proxy", "traffic.sidecar.istio.io/excludeOutboundPorts", "9090")),
        "broken",
        "QP301",
    ),
    "trailing dot before 1.27": (both(rewrite(f"{PROMETHEUS_HOST}."), istio_version("1.26.4")), "broken", "QP101"),
    "trailing dot since 1.27": (both(rewrite(f"{PROMETHEUS_HOST}."), istio_version("1.27.0")), "healthy", ""),
    "a flag that the running proxy does not know": (lambda w: old_proxy(w, "False"), "broken", "QP601"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_judged_as_istio_treats_it(name: str) -> None:
    expect(*CASES[name])


def notices(change: Change, question: Question | None = None) -> set[str]:
    world = World()
    change(world)
    found = world.diagnose(question) if question else world.diagnose()
    return {finding.code for finding in found.judgement.findings if finding.status == "notice"}


def older_service(name: str) -> Change:
    port = {"name": name, "port": 9090, "targetPort": 9090}
    spec = {"selector": {"app.kubernetes.io/name": "prometheus"}, "clusterIP": "None", "ports": [port]}
    return lambda w: w.add(obj("Service", "prometheus-operated", spec, creationTimestamp="2026-01-01T00:00:00Z"))


def allow(rule: dict[str, object], action: str = "ALLOW") -> Change:
    return lambda w: w.add(istio("AuthorizationPolicy", "az", {"action": action, "rules": [rule]}))


def without_label(world: World) -> None:
    world.proxy_args(lambda args: [word for word in args if "--label" not in word])


NOTICES: dict[str, tuple[Change, str, bool]] = {
    # name: what differs from the stack, code, whether it is reported
    "workload weaker than its namespace": (workload_policy("a", "2026-02-01T00:00:00Z", "PERMISSIVE"), "QP303", True),
    "workload as strict as its namespace": (workload_policy("a", "2026-02-01T00:00:00Z", "STRICT"), "QP303", False),
    "two workload policies": (
        both(
            workload_policy("a", "2026-02-01T00:00:00Z", "STRICT"),
            workload_policy("b", "2026-03-01T00:00:00Z", "STRICT"),
        ),
        "QP304",
        True,
    ),
    "one workload policy": (workload_policy("a", "2026-02-01T00:00:00Z", "STRICT"), "QP304", False),
    "older Service of another protocol": (older_service("tcp-web"), "QP402", True),
    "older Service of the same protocol": (older_service("http"), "QP402", False),
    "name that looks like a protocol": (lambda w: w.port("prometheus", name="httpweb"), "QP403", True),
    "name that is plainly none": (lambda w: w.port("prometheus", name="web"), "QP403", False),
    "nobody keeps others from Prometheus": (SOUND, "QP502", True),
    "only the proxy may ask": (both(SOUND, allow(PRINCIPALS)), "QP502", False),
    "a DENY policy keeps nobody out": (both(SOUND, allow(METHODS, "DENY")), "QP502", True),
    "a proxy without a label": (both(SOUND, without_label), "QP502", False),
    "an Istio that is too new": (istio_version("1.40.0"), "QP602", True),
    "an Istio that was checked": (istio_version("1.31.0"), "QP602", False),
    "a tag without a version": (istio_version("latest"), "QP602", False),
}


@pytest.mark.parametrize("name", NOTICES)
def test_what_is_worth_knowing_is_said_and_nothing_else(name: str) -> None:
    change, code, reported = NOTICES[name]
    assert (code in notices(change)) is reported


def test_a_younger_policy_is_named_as_ignored() -> None:
    world = World()
    NOTICES["two workload policies"][0](world)
    finding = next(entry for entry in world.diagnose().judgement.findings if entry.code == "QP304")
    assert finding.summary.startswith("PeerAuthentication/monitoring/a counts")


@pytest.mark.parametrize(("header", "status"), [("Host", "at_risk"), ("host", "at_risk"), ("X-Scope-OrgID", "healthy")])
def test_a_host_header_of_the_data_source_walks_past_the_label_proxy(header: str, status: str) -> None:
    world = World()
    SOUND(world)
    world.datasources = [{**SOURCE, "jsonData": {"httpHeaderName1": header}, "source": f"ConfigMap/{NS}/x"}]
    verdict = world.diagnose(Question(NS, "grafana")).judgement.verdict
    assert verdict.status == status
    assert verdict.code == ("QP108" if status == "at_risk" else "")
