# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to the world, to be combined: what differs from the lab's stack."""

from __future__ import annotations

from collections.abc import Callable

from world import PROMETHEUS_HOST, PROXY_HOST, World, istio

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
    selector = {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    body = {"selector": selector, "action": action, "rules": [rule]}
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


def expect(change: Change, status: str, code: str) -> None:
    """Diagnoses the changed world and compares the verdict."""
    world = World()
    change(world)
    verdict = world.diagnose().judgement.verdict
    assert (verdict.status, verdict.code) == (status, code), verdict.summary
