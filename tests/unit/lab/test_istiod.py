# SPDX-License-Identifier: GPL-3.0-or-later
"""From what istioctl renders to what the lab runs."""

from __future__ import annotations

from typing import Any

import pytest
from meshlab import istiod
from meshlab.errors import LabError
from meshlab.settings import Folders


def manifest(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "istio-system"}, **more}


SERVICE = manifest(
    "Service",
    "istiod",
    spec={
        "selector": {"app": "istiod"},
        "ports": [
            {"name": "https-dns", "port": 15012, "protocol": "TCP"},
            {"name": "https-webhook", "port": 443, "targetPort": 15017, "protocol": "TCP"},
        ],
    },
)
CONTAINER = {
    "args": ["discovery", "--domain", "cluster.local"],
    "env": [
        {"name": "REVISION", "value": "default"},
        {"name": "PLATFORM"},
        {"name": "KUBECONFIG", "value": "/var/run/secrets/remote/config"},
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "SERVICE_ACCOUNT", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
        {"name": "GOMAXPROCS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
}
DEPLOYMENT = manifest("Deployment", "istiod", spec={"template": {"spec": {"containers": [CONTAINER]}}})


def test_istiod_runs_on_the_node_instead_of_in_a_pod() -> None:
    webhook = manifest("MutatingWebhookConfiguration", "istio-sidecar-injector")
    config = manifest("ConfigMap", "istio")
    scaler = manifest("HorizontalPodAutoscaler", "istiod")
    rendered = istiod.arrange([config, webhook, DEPLOYMENT, scaler, SERVICE])
    assert rendered.deployment == DEPLOYMENT
    assert rendered.webhooks == [webhook]
    assert [(m["kind"], m["metadata"]["name"]) for m in rendered.objects] == [
        ("ConfigMap", "istio"),
        ("Service", "istiod"),
        ("EndpointSlice", "istiod-node"),
    ]
    service, endpoints = rendered.objects[1:]
    assert "selector" not in service["spec"]
    assert "selector" in SERVICE["spec"]
    assert endpoints["endpoints"] == [{"addresses": ["10.9.0.1"], "conditions": {"ready": True}}]
    assert [(port["name"], port["port"]) for port in endpoints["ports"]] == [
        ("https-dns", 15012),
        ("https-webhook", 15017),
    ]
    assert endpoints["metadata"]["labels"] == {"kubernetes.io/service-name": "istiod"}


def test_a_rendering_without_istiod_is_refused() -> None:
    with pytest.raises(LabError, match="rendered 0 Deployments"):
        istiod.arrange([SERVICE])


def test_istiod_gets_the_arguments_and_environment_of_its_deployment(lab_folders: Folders) -> None:
    daemon = istiod.daemon(DEPLOYMENT, lab_folders)
    assert daemon.command == [f"{lab_folders.programs}/pilot-discovery", "discovery", "--domain", "cluster.local"]
    assert daemon.environment == {
        "REVISION": "default",
        "PLATFORM": "",
        "KUBECONFIG": f"{lab_folders.pki}/istiod.kubeconfig",
        "POD_NAMESPACE": "istio-system",
        "SERVICE_ACCOUNT": "istiod",
    }
