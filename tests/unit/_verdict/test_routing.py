# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a request goes: every pattern beside its healthy look-alike."""

from __future__ import annotations

import pytest
from variations import (
    ALIAS,
    SIDECAR_TCP,
    Change,
    both,
    expect,
    mesh,
    no_sidecar,
    rewrite,
    virtual_service,
    without,
)
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World, istio, service

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError

POD = "http://10.9.1.4:9090"


def upstream(url: str) -> Change:
    return lambda world: world.proxy_args(
        lambda args: [f"--upstream={url}" if word.startswith("--upstream=") else word for word in args]
    )


def headless_twin(port_name: str) -> Change:
    """A headless Service of the same pods, as the Prometheus operator makes it."""

    def change(world: World) -> None:
        twin = service("prometheus-operated", 9090, port_name, "None")
        twin["spec"]["selector"] = {"app.kubernetes.io/name": "prometheus"}
        world.add(twin)

    return change


def export_to(namespace: str) -> Change:
    return lambda world: world.get("Service", "prometheus")["metadata"].update(
        annotations={"networking.istio.io/exportTo": namespace}
    )


# name: what differs from the stack, expected status, expected code
CASES: dict[str, tuple[Change, str, str]] = {
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
    "a pod's address": (upstream(POD), "broken", "QP101"),
    "a pod's address, PERMISSIVE": (
        both(upstream(POD), lambda w: w.peer_authentication("PERMISSIVE")),
        "at_risk",
        "QP101",
    ),
    "a pod's address, right Host": (both(upstream(POD), rewrite(PROMETHEUS_HOST)), "healthy", ""),
    "a pod's address, rewritten to itself": (both(upstream(POD), rewrite("10.9.1.4:9090")), "broken", "QP101"),
    "a pod's address, port undeclared": (
        both(upstream(POD), lambda w: w.port("prometheus", name="web")),
        "broken",
        "QP109",
    ),
    "a pod's address, port declared TCP, right Host": (
        both(upstream(POD), rewrite(PROMETHEUS_HOST), lambda w: w.port("prometheus", appProtocol="tcp")),
        "broken",
        "QP109",
    ),
    "a pod's address, port undeclared, REGISTRY_ONLY": (
        both(
            upstream(POD),
            lambda w: w.port("prometheus", name="web"),
            mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),
        ),
        "broken",
        "QP109",
    ),
    "a pod's address that a headless Service declares TCP": (
        both(upstream(POD), headless_twin("tcp-web")),
        "healthy",
        "",
    ),
    "a pod's address that a headless Service leaves undeclared": (
        both(upstream(POD), headless_twin("web")),
        "healthy",
        "",
    ),
    "a ClusterIP": (upstream("http://10.96.0.4:9090"), "broken", "QP101"),
    "a ClusterIP, port undeclared": (
        both(upstream("http://10.96.0.4:9090"), lambda w: w.port("prometheus", name="web")),
        "healthy",
        "",
    ),
    "a pod's name below a headless Service": (
        both(upstream(f"http://prometheus-0.prometheus-operated.{NS}.svc:9090"), headless_twin("http-web")),
        "broken",
        "QP101",
    ),
    "a pod's name below a headless Service, rewritten to itself": (
        both(
            upstream(f"http://prometheus-0.prometheus-operated.{NS}.svc:9090"),
            headless_twin("http-web"),
            rewrite(f"prometheus-0.prometheus-operated.{NS}.svc"),
        ),
        "healthy",
        "",
    ),
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
    "exportTo that hides Prometheus": (both(rewrite(PROMETHEUS_HOST), export_to("elsewhere")), "broken", "QP106"),
    "exportTo that names the client's namespace": (both(rewrite(PROMETHEUS_HOST), export_to(NS)), "healthy", ""),
    "port name udp-web": (lambda w: w.port("prometheus", name="udp-web"), "broken", "QP404"),
    "appProtocol udp": (
        both(rewrite(PROMETHEUS_HOST), lambda w: w.port("prometheus", appProtocol="udp")),
        "broken",
        "QP404",
    ),
    "port name udpweb": (lambda w: w.port("prometheus", name="udpweb"), "healthy", ""),
    "appProtocol that counts in place of the name udp-web": (
        lambda w: w.port("prometheus", name="udp-web", appProtocol="tcp"),
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
    expect(*CASES[name])


def test_a_route_into_a_namespace_that_was_not_read_is_unknown() -> None:
    elsewhere = [{"route": [{"destination": {"host": "prometheus.elsewhere.svc.cluster.local"}}]}]
    expect(virtual_service(http=elsewhere), "inconclusive", "QP902")


def test_no_protocol_cures_an_address_and_no_host_cures_one_that_nobody_has() -> None:
    """A fix that would only turn one fault into the other is refused."""

    def offered(*changes: Change) -> dict[str, str]:
        world = World()
        both(upstream(POD), *changes)(world)
        return {
            f"{remedy.strategy} {remedy.protocol}".strip(): "" if remedy.applicable else remedy.reason
            for remedy in world.diagnose().remedies
        }

    by_host = offered()
    assert (by_host["host_rewrite"], by_host["route_alias"]) == ("", "")
    assert "QP109" in by_host["service_protocol auto"]
    assert "QP109" in by_host["service_protocol tcp"]
    assert all(offered(lambda world: world.port("prometheus", name="web")).values())


def test_an_address_of_nobody_ends_in_a_sentence() -> None:
    world = World()
    upstream("http://10.9.1.77:9090")(world)
    with pytest.raises(InputError, match="nor an address that a Service in namespace monitoring has or leads to"):
        world.diagnose()


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        (export_to("elsewhere"), "Its exportTo hides prometheus from prom-label-proxy, whose sidecar sends plaintext."),
        (
            lambda w: w.port("prometheus", name="udp-web"),
            (
                "Port 9090 of Service prometheus is declared UDP (port name 'udp-web'), "
                "so prom-label-proxy's sidecar sends plaintext."
            ),
        ),
    ],
)
def test_what_keeps_a_sidecar_from_knowing_the_upstream_is_named(change: Change, summary: str) -> None:
    world = World()
    both(rewrite(PROMETHEUS_HOST), change)(world)
    assert world.diagnose().judgement.verdict.summary == summary
