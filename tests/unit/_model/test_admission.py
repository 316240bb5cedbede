# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom AuthorizationPolicies let in: one condition at a time, and what configuration cannot answer stays open."""

from __future__ import annotations

from typing import Any

import pytest
from world import istio

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import admission
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.admission import (
    DENIES_CALLER,
    DENIES_SOME,
    MAY_DENY,
    METHODS,
    UNTOLD,
    Request,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.extension_provider import (
    GRPC,
    HTTP,
    Provider,
)

REQUEST = Request(
    principals=("cluster.local/ns/monitoring/sa/proxy",),
    namespace="monitoring",
    service_account="proxy",
    host="Prometheus.monitoring.svc:9090",
    port=9090,
    method="",
    path="/api/v1/query",
    tcp=False,
)


def policy(action: str, *rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return istio("AuthorizationPolicy", action.lower(), {"action": action, "rules": list(rules), **spec})


def source(**fields: Any) -> dict[str, Any]:
    return {"from": [{"source": fields}]}


def operation(**fields: Any) -> dict[str, Any]:
    return {"to": [{"operation": fields}]}


def when(key: str, **fields: Any) -> dict[str, Any]:
    return {"when": [{"key": key, **fields}]}


# Why Istio denies, why that cannot be told, and two that it asks.
PROVIDERS = {
    "nobody": Provider("", denies="which the mesh does not have"),
    "unread": Provider(HTTP, open="and Services could not be listed"),
    "known": Provider(HTTP),
    "grpc": Provider(GRPC),
}


def found(*policies: dict[str, Any], **changes: Any) -> str:
    requests = [REQUEST._replace(method=method, **changes) for method in METHODS]
    effect = admission.effect(requests, policies, PROVIDERS)
    return effect.effect if effect else ""


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, ""),
        (source(principals=["cluster.local/ns/monitoring/sa/proxy"]), ""),
        (source(principals=["cluster.local/ns/monitoring/*"]), ""),
        (source(principals=["*/sa/proxy"]), ""),
        (source(principals=["*"]), ""),
        (source(principals=["cluster.local/ns/monitoring/sa/other"]), DENIES_CALLER),
        (source(notPrincipals=["cluster.local/ns/monitoring/sa/proxy"]), DENIES_CALLER),
        (source(namespaces=["monitoring"]), ""),
        (source(namespaces=["other"]), DENIES_CALLER),
        (source(serviceAccounts=["proxy"]), ""),
        (source(serviceAccounts=["monitoring/proxy"]), ""),
        (source(serviceAccounts=["other/proxy"]), DENIES_CALLER),
        (source(ipBlocks=["10.0.0.0/8"]), UNTOLD),
        (source(namespaces=["other"], ipBlocks=["10.0.0.0/8"]), DENIES_CALLER),
        (operation(methods=["GET", "POST"], paths=["/api/*"]), ""),
        (operation(methods=["GET"]), DENIES_SOME),
        (operation(methods=["DELETE"]), DENIES_CALLER),
        (operation(paths=["/metrics"]), DENIES_CALLER),
        (operation(paths=["/api/{*}/query"]), UNTOLD),
        (operation(ports=["9090"]), ""),
        (operation(ports=["8080"]), DENIES_CALLER),
        (operation(hosts=["prometheus.*"]), ""),
        (when("source.namespace", values=["monitoring"]), ""),
        (when("source.principal", notValues=["*/sa/proxy"]), DENIES_CALLER),
        (when("request.headers[x]", values=["y"]), UNTOLD),
    ],
)
def test_one_rule_that_allows(rule: dict[str, Any], expected: str) -> None:
    assert found(policy("ALLOW", rule)) == expected


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], ""),
        ([policy("ALLOW")], DENIES_CALLER),
        ([policy("DENY")], ""),
        ([policy("DENY", {})], DENIES_CALLER),
        ([policy("DENY", source(namespaces=["other"]))], ""),
        ([policy("DENY", operation(methods=["DELETE"]))], ""),
        ([policy("DENY", source(ipBlocks=["10.0.0.0/8"]))], UNTOLD),
        ([policy("ALLOW", {}), policy("DENY", source(namespaces=["monitoring"]))], DENIES_CALLER),
        ([policy("ALLOW", source(namespaces=["other"])), policy("ALLOW", source(namespaces=["monitoring"]))], ""),
        ([policy("AUDIT", {})], ""),
        ([policy("ALLOW", targetRefs=[{"kind": "Gateway"}])], ""),
        ([policy("CUSTOM", {}, provider={"name": "nobody"})], DENIES_CALLER),
        ([policy("CUSTOM", source(namespaces=["other"]), provider={"name": "nobody"})], ""),
        ([policy("CUSTOM", operation(paths=["/admin"]), provider={"name": "known"})], ""),
        ([policy("CUSTOM", {}, provider={"name": "known"})], UNTOLD),
        ([policy("CUSTOM", {}, provider={"name": "unread"})], MAY_DENY),
        ([policy("CUSTOM", source(namespaces=["other"]), provider={"name": "unread"})], ""),
        ([policy("CUSTOM", {}, provider={"name": "unread"}), policy("ALLOW")], DENIES_CALLER),
        ([policy("CUSTOM", {}, provider={"name": "unread"}), policy("DENY", source(ipBlocks=["x"]))], MAY_DENY),
    ],
)
def test_policies_together(policies: list[dict[str, Any]], expected: str) -> None:
    assert found(*policies) == expected


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([policy("ALLOW", operation(methods=["GET", "POST"]))], DENIES_CALLER),
        ([policy("DENY", operation(methods=["DELETE"]))], DENIES_CALLER),
        ([policy("DENY", {**operation(methods=["DELETE"]), **source(namespaces=["other"])})], ""),
        ([policy("DENY", when("request.headers[x]", values=["y"]))], DENIES_CALLER),
        ([policy("ALLOW", source(namespaces=["monitoring"]))], ""),
        ([policy("CUSTOM", {}, provider={"name": "known"})], ""),
        ([policy("CUSTOM", {}, provider={"name": "grpc"})], UNTOLD),
        ([policy("CUSTOM", {}, provider={"name": "nobody"})], DENIES_CALLER),
    ],
)
def test_on_tcp_what_is_only_in_http_plays_no_part(policies: list[dict[str, Any]], expected: str) -> None:
    assert found(*policies, tcp=True) == expected


def test_a_caller_without_identity_matches_no_principal() -> None:
    nobody = {"principals": (), "namespace": ""}
    assert found(policy("ALLOW", source(principals=["*"])), **nobody) == DENIES_CALLER
    assert found(policy("ALLOW", source(namespaces=["monitoring"])), **nobody) == DENIES_CALLER
    assert found(policy("ALLOW", {}), **nobody) == ""
