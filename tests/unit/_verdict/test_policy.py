# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations that nobody reads, and policies on a TCP port: every pattern beside its healthy look-alike."""

from __future__ import annotations

import pytest
from variations import METHODS, PRINCIPALS, Change, both, expect, mesh, policy, rewrite
from world import PROMETHEUS_HOST, World, istio

OTHERS = {"from": [{"source": {"principals": ["cluster.local/ns/monitoring/sa/somebody"]}}]}
PROVIDER = mesh(extensionProviders=[{"name": "x", "envoyExtAuthzHttp": {"service": PROMETHEUS_HOST, "port": 80}}])


def authorization(*rules: dict[str, object], selector: str = "prometheus") -> Change:
    body = {"selector": {"matchLabels": {"app.kubernetes.io/name": selector}}, "rules": list(rules)}
    return lambda world: world.add(istio("AuthorizationPolicy", "az", body))


def dry_run(change: Change, said: str, *rules: dict[str, object]) -> Change:
    def annotate(world: World) -> None:
        metadata = world.get("AuthorizationPolicy", "az")["metadata"]
        metadata["annotations"] = {"istio.io/dry-run": said}

    return both(change, authorization(*(rules or (OTHERS,))), annotate)


# name: what differs from the stack, expected status, expected code
CASES: dict[str, tuple[Change, str, str]] = {
    "annotation alone": (
        lambda w: w.get("Service", "prometheus")["metadata"].update(
            annotations={"networking.istio.io/service-protocol": "tcp"}
        ),
        "broken",
        "QP101",
    ),
    "HTTP-only ALLOW policy on TCP": (policy("ALLOW", METHODS), "broken", "QP501"),
    "HTTP-only DENY policy on TCP": (policy("DENY", METHODS), "broken", "QP501"),
    "DENY policy on TCP that keeps another's source": (policy("DENY", {**METHODS, **OTHERS}), "at_risk", "QP501"),
    "DENY policy on TCP that keeps the proxy's source": (policy("DENY", {**METHODS, **PRINCIPALS}), "broken", "QP503"),
    "CUSTOM policy on TCP": (
        both(
            PROVIDER,
            policy("CUSTOM", METHODS),
            lambda w: w.get("AuthorizationPolicy", "az")["spec"].update(provider={"name": "x"}),
        ),
        "at_risk",
        "QP501",
    ),
    "CUSTOM policy on TCP without its provider": (policy("CUSTOM", METHODS), "broken", "QP501"),
    "CUSTOM policy without its provider on TCP, for others": (
        policy("CUSTOM", {**METHODS, **OTHERS}),
        "at_risk",
        "QP501",
    ),
    "ALLOW policy on TCP for others": (policy("ALLOW", OTHERS), "broken", "QP503"),
    "ALLOW policy on HTTP for others": (both(rewrite(PROMETHEUS_HOST), authorization(OTHERS)), "broken", "QP503"),
    "ALLOW policy on HTTP for the proxy": (both(rewrite(PROMETHEUS_HOST), authorization(PRINCIPALS)), "healthy", ""),
    "ALLOW policy for principals, asked in plaintext": (
        both(lambda w: w.peer_authentication("PERMISSIVE"), authorization(PRINCIPALS)),
        "broken",
        "QP503",
    ),
    "ALLOW policy that nothing matches": (both(rewrite(PROMETHEUS_HOST), authorization()), "broken", "QP503"),
    "ALLOW policy for some methods": (both(rewrite(PROMETHEUS_HOST), authorization(METHODS)), "healthy", ""),
    "ALLOW policy for others on HTTP, as a dry run": (dry_run(rewrite(PROMETHEUS_HOST), "true"), "healthy", ""),
    "ALLOW policy for others on HTTP, as no dry run": (dry_run(rewrite(PROMETHEUS_HOST), "no"), "broken", "QP503"),
    "ALLOW policy for others on TCP, as a dry run": (
        dry_run(lambda w: w.port("prometheus", appProtocol="tcp"), "1", METHODS),
        "healthy",
        "",
    ),
    "ALLOW policy for others on the first hop": (
        both(rewrite(PROMETHEUS_HOST), authorization(OTHERS, selector="prom-label-proxy")),
        "broken",
        "QP503",
    ),
    "L4 ALLOW policy on TCP": (policy("ALLOW", PRINCIPALS), "healthy", ""),
    "HTTP-only policy of another workload": (
        lambda w: w.port("prometheus", appProtocol="tcp").add(
            istio("AuthorizationPolicy", "az", {"selector": {"matchLabels": {"app": "x"}}, "rules": [METHODS]})
        ),
        "healthy",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_judged_as_istio_treats_it(name: str) -> None:
    expect(*CASES[name])
