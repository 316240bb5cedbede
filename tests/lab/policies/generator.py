# SPDX-License-Identifier: GPL-3.0-or-later
"""AuthorizationPolicies for Prometheus, one for each seed, about every field that a policy can have."""

from __future__ import annotations

import random
from typing import Any

from catalogue.witness import FOREIGN_HOST, RIGHT_HOST, SERVER
from meshlab.api import Manifest
from stage.place import NAMESPACE

PROVIDER = "ext-authz"
ACCOUNTS = ("client2", "prom-label-proxy", "grafana")
ACTIONS = ("ALLOW",) * 5 + ("DENY",) * 5 + ("AUDIT", "CUSTOM")


def policy(seed: int) -> Manifest:
    """The policy of a seed; API server and istiod accept it."""
    chosen = random.Random(seed)
    action = chosen.choice(ACTIONS)
    spec: dict[str, Any] = {"action": action}
    if chosen.random() < 0.9:
        spec["rules"] = [rule(chosen) for _count in range(chosen.choice((1, 1, 2)))]
    if action == "CUSTOM":
        spec["provider"] = {"name": chosen.choice((PROVIDER, PROVIDER, "missing"))}
        spec.setdefault("rules", [rule(chosen)])
    if chosen.random() < 0.7:
        label = chosen.choice((SERVER, SERVER, SERVER, "other"))
        spec["selector"] = {"matchLabels": {"app.kubernetes.io/name": label}}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": f"generated-{seed}", "namespace": NAMESPACE},
        "spec": spec,
    }


def rule(chosen: random.Random) -> dict[str, Any]:
    """A rule of a policy; an empty one matches everything."""
    made: dict[str, Any] = {}
    if chosen.random() < 0.6:
        made["from"] = [{"source": fields(chosen, sources())} for _count in range(chosen.choice((1, 1, 2)))]
    if chosen.random() < 0.6:
        made["to"] = [{"operation": fields(chosen, operations())} for _count in range(chosen.choice((1, 1, 2)))]
    if chosen.random() < 0.3:
        made["when"] = [chosen.choice(conditions())]
    return made


def fields(chosen: random.Random, known: dict[str, list[str]]) -> dict[str, list[str]]:
    """One or two fields of a source or an operation, each with one or two of its values."""
    names = chosen.sample(sorted(known), chosen.choice((1, 1, 2)))
    return {name: chosen.sample(known[name], min(len(known[name]), chosen.choice((1, 1, 2)))) for name in names}


def sources() -> dict[str, list[str]]:
    principals = [f"cluster.local/ns/{NAMESPACE}/sa/{name}" for name in ACCOUNTS]
    principals += ["*", "*/sa/client2", f"cluster.local/ns/{NAMESPACE}/*", "cluster.local/ns/other/sa/client2"]
    namespaces = [NAMESPACE, "other", "monit*"]
    return {
        "principals": principals,
        "notPrincipals": principals,
        "namespaces": namespaces,
        "notNamespaces": namespaces,
        "requestPrincipals": ["*", "issuer/subject"],
        "notRequestPrincipals": ["*", "issuer/subject"],
        "ipBlocks": ["10.0.0.0/8"],
    }


def operations() -> dict[str, list[str]]:
    hosts = [RIGHT_HOST, f"{SERVER}.*", FOREIGN_HOST, "*"]
    paths = ["/api/v1/query", "/api/*", "*/query", "/other"]
    return {
        "hosts": hosts,
        "notHosts": hosts,
        "methods": ["GET", "POST", "DELETE"],
        "notMethods": ["GET", "DELETE"],
        "paths": paths,
        "notPaths": paths,
        "ports": ["9090", "9091"],
        "notPorts": ["9090", "9091"],
    }


def conditions() -> list[dict[str, Any]]:
    account = f"cluster.local/ns/{NAMESPACE}/sa/client2"
    return [
        {"key": "source.principal", "values": [account]},
        {"key": "source.principal", "notValues": [account]},
        {"key": "source.namespace", "values": [NAMESPACE, "other"]},
        {"key": "destination.port", "values": ["9090"]},
        {"key": "destination.port", "notValues": ["9090"]},
        {"key": "request.headers[x-tenant]", "values": ["a"]},
        {"key": "request.headers[x-tenant]", "notValues": ["a"]},
        {"key": "request.auth.claims[iss]", "values": ["x"]},
        {"key": "source.ip", "values": ["10.0.0.0/8"]},
    ]
