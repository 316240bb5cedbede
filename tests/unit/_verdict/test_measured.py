# SPDX-License-Identifier: GPL-3.0-or-later
"""What the differential test (`make differential`) once found wrong in the model, each beside a look-alike."""

from __future__ import annotations

import pytest
from variations import METHODS, PRINCIPALS, Change, both, no_sidecar, rewrite
from world import DOMAIN, NS, PROMETHEUS_HOST, PROXY_HOST, Object, World, istio, obj, service

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    authorization,
    inbound,
    objects,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop

SELECTOR = {"app.kubernetes.io/name": "prometheus"}
DISABLE = {"tls": {"mode": "DISABLE"}}


def last_hop(change: Change) -> Hop:
    world = World()
    change(world)
    return world.diagnose().path.hops[-1]


def add(*added: Object) -> Change:
    return lambda world: world.add(*added)


def routes(name: str, hosts: list[str], namespace: str = NS, **rules: object) -> Change:
    return add(istio("VirtualService", name, {"hosts": hosts, **rules}, namespace))


def to(host: str, **destination: object) -> list[Object]:
    return [{"route": [{"destination": {"host": host, **destination}}]}]


def rule(name: str, host: str = "prometheus", namespace: str = NS, **fields: object) -> Change:
    return add(istio("DestinationRule", name, {"host": host, **fields}, namespace))


def twin(port_name: str) -> Change:
    """Another headless Service of the same pods and port."""
    other = service("prometheus-operated", 9090, port_name, "None")
    other["spec"]["selector"] = SELECTOR
    return add(other)


def headless(world: World) -> None:
    world.get("Service", "prometheus")["spec"].update({"clusterIP": "None", "clusterIPs": ["None"]})


def hidden(world: World) -> None:
    annotations = {"networking.istio.io/exportTo": "elsewhere"}
    world.get("Service", "prometheus")["metadata"]["annotations"] = annotations


def tcp(world: World) -> None:
    world.port("prometheus", name="tcp-web")


def auto(world: World) -> None:
    world.port("prometheus", name="web")


def shown(world: World) -> None:
    world.get("Service", "prometheus")["metadata"]["annotations"] = {"networking.istio.io/exportTo": f"a, {NS}"}


def alias(port: int) -> Object:
    ports = [{"name": "http", "port": port}]
    return obj("Service", "metrics", {"type": "ExternalName", "externalName": PROMETHEUS_HOST, "ports": ports})


ALIAS = obj("Service", "metrics", {"type": "ExternalName", "externalName": PROMETHEUS_HOST, "ports": []})
NO_ALIAS = obj("Service", "metrics", {"externalName": PROMETHEUS_HOST, "ports": []})
TO_ALIAS = routes("v", [PROMETHEUS_HOST], http=to("metrics"))
TCP_TO_ALIAS = routes("v", [PROMETHEUS_HOST], tcp=to("metrics"))
V1 = [{"name": "v1", "labels": SELECTOR}]
right = rewrite(PROMETHEUS_HOST)

# name: what differs from the stack, kind of the last hop's route, its cluster without the host
ROUTES: dict[str, tuple[Change, str, str]] = {
    "headless, alone on its pods": (both(headless, right), "service", "outbound|9090||"),
    "headless, a sniffed twin has the pods' addresses": (
        both(headless, twin("web"), right),
        "other_service",
        "outbound",
    ),
    "headless, a TCP twin has the pods' addresses": (both(headless, twin("tcp-a"), right), "other_service", "outbound"),
    "headless, an HTTP twin shares the listener": (both(headless, twin("http-a"), right), "service", "outbound|9090||"),
    "subset without a rule": (
        both(routes("v", [PROMETHEUS_HOST], http=to("prometheus", subset="v1")), right),
        "no_cluster",
        "outbound|9090|v1|",
    ),
    "subset of a second rule for the host": (
        both(
            routes("v", [PROMETHEUS_HOST], http=to("prometheus", subset="v1")),
            rule("a", trafficPolicy={}),
            rule("b", subsets=V1),
            right,
        ),
        "service",
        "outbound|9090|v1|",
    ),
    "subset of a rule with another exportTo": (
        both(
            routes("v", [PROMETHEUS_HOST], http=to("prometheus", subset="v1")),
            rule("a", subsets=V1),
            rule("b", exportTo=["."]),
            right,
        ),
        "no_cluster",
        "outbound|9090|v1|",
    ),
    "alias of the Service": (both(add(ALIAS), rewrite("metrics")), "service", "outbound|9090||"),
    "VirtualService for an alias with the port": (
        both(
            add(alias(9090)), routes("v", [f"metrics.{NS}.{DOMAIN}"], http=to("prom-label-proxy")), rewrite("metrics")
        ),
        "no_cluster",
        "outbound|9090||prom-label-proxy",
    ),
    "VirtualService for an alias without the port": (
        both(
            add(alias(9999)), routes("v", [f"metrics.{NS}.{DOMAIN}"], http=to("prom-label-proxy")), rewrite("metrics")
        ),
        "service",
        "outbound|9090||prometheus",
    ),
    "alias of nothing": (both(add(ALIAS), rewrite("metric")), "passthrough", "PassthroughCluster"),
    "alias with the port as destination": (both(add(alias(9090)), TO_ALIAS, right), "service", "outbound|9090||prom"),
    "alias without the port as destination": (both(add(ALIAS), TO_ALIAS, right), "no_cluster", "outbound|9090||metr"),
    "alias with another port as destination of TCP": (
        both(tcp, add(alias(9999)), TCP_TO_ALIAS, right),
        "no_cluster",
        "outbound|9999||prom",
    ),
    "alias as destination of TCP": (both(tcp, add(ALIAS), TCP_TO_ALIAS, right), "service", "outbound|9090||prom"),
    "hidden by exportTo": (both(hidden, right), "passthrough", "PassthroughCluster"),
    "hidden, and a VirtualService for another host routes to it": (
        both(
            hidden,
            add(service("other", 9090, "http", "10.96.0.8")),
            routes("v", ["other"], http=to(PROMETHEUS_HOST)),
            rewrite("other"),
        ),
        "no_cluster",
        "outbound|9090||prometheus",
    ),
    "externalName of another type": (both(add(NO_ALIAS), TO_ALIAS, right), "no_cluster", "outbound|9090||metrics"),
    "exportTo names the client's namespace": (both(shown, right), "service", "outbound|9090||"),
    "hidden, and the client's namespace has HTTP there": (
        both(hidden, add(service("other", 9090, "http", "10.96.0.8")), rewrite("other")),
        "other_service",
        "outbound|9090||",
    ),
    "a TCP port that is named udp": (lambda w: w.port("prometheus", name="udp-x"), "passthrough", "PassthroughCluster"),
    "TCP rule without a port, to a Service with one": (
        both(tcp, add(service("other", 9000, "tcp", "10.96.0.8")), routes("v", [PROMETHEUS_HOST], tcp=to("other"))),
        "other_service",
        "outbound|9000||",
    ),
    "TCP rule on a TLS port": (
        both(lambda w: w.port("prometheus", name="https"), routes("v", [PROMETHEUS_HOST], tcp=to("nowhere"))),
        "service",
        "outbound|9090||",
    ),
    "destination with a port that is named udp": (
        both(
            add(service("other", 9000, "udp-a", "10.96.0.8")),
            routes("v", [PROMETHEUS_HOST], http=to("other", port={"number": 9000})),
            right,
        ),
        "no_cluster",
        "outbound|9000||",
    ),
    "destination with a port that is not": (
        both(
            add(service("other", 9000, "web", "10.96.0.8")),
            routes("v", [PROMETHEUS_HOST], http=to("other", port={"number": 9000})),
            right,
        ),
        "other_service",
        "outbound|9000||",
    ),
    "destination that only DNS would complete": (
        both(routes("v", [PROMETHEUS_HOST], http=to(f"prometheus.{NS}")), right),
        "no_cluster",
        "outbound|9090||",
    ),
    "wildcard below a more specific VirtualService": (
        both(
            routes("a", [f"*.{NS}.{DOMAIN}"], http=to("nowhere")),
            routes("b", [PROMETHEUS_HOST], http=to("prometheus")),
            right,
        ),
        "service",
        "outbound|9090||",
    ),
    "wildcard alone": (both(routes("a", [f"*.{NS}.{DOMAIN}"], http=to("nowhere")), right), "no_cluster", "outbound"),
    "VirtualService whose only Service is TCP there": (
        both(
            add(service("other", 9090, "tcp", "10.96.0.8")),
            routes("v", [f"other.{NS}.{DOMAIN}", PROXY_HOST], http=to("prometheus")),
        ),
        "passthrough",
        "PassthroughCluster",
    ),
    "private VirtualService before an older public one": (
        both(
            routes("a", [PROMETHEUS_HOST], http=to("nowhere")),
            routes("b", [PROMETHEUS_HOST], http=to("prometheus"), exportTo=["."]),
            right,
        ),
        "service",
        "outbound|9090||",
    ),
    "literal short host before the Service's own short name": (
        both(
            routes("v", [PROXY_HOST.replace("prom-label-proxy", "prometheus"), f"prometheus.{NS}"], http=to("nowhere")),
            rewrite(f"prometheus.{NS}"),
        ),
        "no_cluster",
        "outbound",
    ),
    "excluded by the Sidecar resource": (
        both(auto, add(istio("Sidecar", "s", {"egress": [{"hosts": ["*/*", f"~./{PROMETHEUS_HOST}"]}]}))),
        "passthrough",
        "PassthroughCluster",
    ),
    "not excluded by the Sidecar resource": (
        both(auto, add(istio("Sidecar", "s", {"egress": [{"hosts": ["*/*", f"~./{PROXY_HOST}"]}]}))),
        "service",
        "outbound|9090||",
    ),
}

# name: what differs from the stack, how the last hop travels
TRANSPORTS: dict[str, tuple[Change, str]] = {
    "port block without tls under DISABLE": (
        rule("r", trafficPolicy={**DISABLE, "portLevelSettings": [{"port": {"number": 9090}}]}),
        "plaintext",
    ),
    "port block without tls under SIMPLE": (
        rule("r", trafficPolicy={"tls": {"mode": "SIMPLE"}, "portLevelSettings": [{"port": {"number": 9090}}]}),
        "plaintext",
    ),
    "port block without tls under ISTIO_MUTUAL, no sidecar": (
        both(
            no_sidecar("prometheus"),
            rule(
                "r", trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}, "portLevelSettings": [{"port": {"number": 9090}}]}
            ),
        ),
        "mTLS",
    ),
    "port block without tls under DISABLE, headless": (
        both(rule("r", trafficPolicy={**DISABLE, "portLevelSettings": [{"port": {"number": 9090}}]}), headless),
        "mTLS",
    ),
    "workload policy DISABLE": (
        add(istio("PeerAuthentication", "w", {"selector": {"matchLabels": SELECTOR}, "mtls": {"mode": "DISABLE"}})),
        "plaintext",
    ),
    "workload policy DISABLE, headless": (
        both(
            add(istio("PeerAuthentication", "w", {"selector": {"matchLabels": SELECTOR}, "mtls": {"mode": "DISABLE"}})),
            headless,
        ),
        "mTLS",
    ),
    "rule with a selector, of the client's namespace": (
        rule(
            "r", trafficPolicy=DISABLE, workloadSelector={"matchLabels": {"app.kubernetes.io/name": "prom-label-proxy"}}
        ),
        "plaintext",
    ),
    "exact rule for others hides the wildcard of its namespace": (
        both(rule("a", f"*.{NS}.{DOMAIN}", trafficPolicy=DISABLE), rule("b", exportTo=["elsewhere"])),
        "plaintext",
    ),
    "rules of one exportTo merge": (
        both(rule("a", subsets=V1), rule("b", trafficPolicy=DISABLE)),
        "plaintext",
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_route(name: str) -> None:
    change, kind, cluster = ROUTES[name]
    route = last_hop(change).route
    assert (route.kind, route.cluster[: len(cluster)]) == (kind, cluster), route.why


@pytest.mark.parametrize("name", TRANSPORTS)
def test_transport(name: str) -> None:
    change, mode = TRANSPORTS[name]
    transport = last_hop(both(change, right)).transport
    assert transport.mode == mode, transport.why


def test_a_headless_service_is_dialled_on_the_port_of_the_url() -> None:
    hop = last_hop(both(headless, lambda world: world.port("prometheus", targetPort=9999)))
    assert hop.dialled("10.9.1.4:9090")
    assert not hop.dialled("10.9.1.4:9999")


@pytest.mark.parametrize(("transport", "kind"), [("TCP", "TCP"), ("UDP", "UDP")])
def test_a_server_handles_a_tcp_port_that_is_named_udp_as_tcp(transport: str, kind: str) -> None:
    assert inbound.kind(objects.ServicePort("udp-x", 53, 53, None, transport)) == kind


@pytest.mark.parametrize(
    ("other", "effect"),
    [([PRINCIPALS], authorization.DENIES_MORE), ([], authorization.DENIES_ALL), ([METHODS], authorization.DENIES_ALL)],
    ids=["allows somebody", "allows nobody", "HTTP only"],
)
def test_the_rules_of_all_allow_policies_stand_in_one_list(other: list[Object], effect: str) -> None:
    path = World().diagnose().path
    policies = [
        istio("AuthorizationPolicy", name, {"rules": rules}) for name, rules in (("a", [METHODS]), ("b", other))
    ]
    found = authorization.on_tcp(path.hops[-1].step.server, policies, {})
    assert found[0].effect == effect


GET, ADMIN = {"methods": ["GET"]}, {"methods": ["GET"], "ports": ["9090"]}


@pytest.mark.parametrize(
    ("action", "rules", "kept"),
    [
        ("ALLOW", [{"to": [{"operation": GET}]}], []),
        ("ALLOW", [{"to": [{"operation": GET}]}, {}], [("[1]", "ALLOW", True)]),
        ("ALLOW", [], [("[0]", "ALLOW", False)]),
        ("DENY", [{"to": [{"operation": GET}]}], [("[0]", "DENY", True)]),
        ("DENY", [{"to": [{"operation": ADMIN}]}], [("[0]", "DENY", False)]),
        ("AUDIT", [{"from": [{"source": {"namespaces": ["a"]}}]}], [("[0]", "LOG", False)]),
        ("CUSTOM", [{}], []),
    ],
)
def test_rules_that_a_tcp_port_keeps(action: str, rules: list[Object], kept: list[tuple[str, str, bool]]) -> None:
    server = World().diagnose().path.hops[-1].step.server
    found = authorization.rules_on_tcp(server, [istio("AuthorizationPolicy", "p", {"action": action, "rules": rules})])
    prefix = f"ns[{NS}]-policy[p]-rule"
    assert [(entry.name.removeprefix(prefix), entry.action, entry.everyone) for entry in found] == kept
