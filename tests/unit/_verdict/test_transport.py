# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the request travels by mTLS: every pattern beside its healthy look-alike."""

from __future__ import annotations

import pytest
from variations import Change, both, destination_rule, expect, mesh, no_sidecar, rewrite
from world import NS, PROMETHEUS_HOST, istio

# name: what differs from the stack, expected status, expected code
CASES: dict[str, tuple[Change, str, str]] = {
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
}


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_judged_as_istio_treats_it(name: str) -> None:
    expect(*CASES[name])
