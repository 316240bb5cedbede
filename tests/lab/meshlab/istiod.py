# SPDX-License-Identifier: GPL-3.0-or-later
"""istiod as a program of the node instead of a pod: everything else is what ``istioctl manifest generate`` renders."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from meshlab import manifests, network
from meshlab.api import Manifest
from meshlab.errors import LabError
from meshlab.processes import Daemon
from meshlab.settings import LAB, NODE_IP, Folders

NAMESPACE = "istio-system"
OPERATOR = LAB / "mesh" / "istio.yaml"
READY_PORT = 8080
MONITORING_PORT = 15014
"""Also serves istiod's debug pages, without authentication to callers on the loopback address."""

NOT_A_POD = ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget")
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


class Rendered(NamedTuple):
    """The objects of Istio, in the order in which the lab needs them."""

    objects: list[Manifest]
    webhooks: list[Manifest]
    """To be sent when istiod is ready: until then they would only refuse pods."""
    deployment: Manifest
    """istiod's own Deployment, which says how to start it."""


def render(programs: Path, tag: str) -> Rendered:
    """Run ``istioctl manifest generate`` on mesh/istio.yaml. Needs no cluster; takes half a second."""
    command = [str(programs / "istioctl"), "manifest", "generate", "-f", str(OPERATOR), "--set", f"tag={tag}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"istioctl cannot render {OPERATOR}: {done.stderr.strip().splitlines()[-1]}")
    return arrange(manifests.parse(done.stdout))


def arrange(rendered: Iterable[Manifest]) -> Rendered:
    """Sort the *rendered* objects; the Service of istiod loses its selector, because no pod will match it."""
    objects: list[Manifest] = []
    webhooks: list[Manifest] = []
    deployments: list[Manifest] = []
    for manifest in rendered:
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] == "istiod":
            service = {**manifest, "spec": {k: v for k, v in manifest["spec"].items() if k != "selector"}}
            objects += [service, endpoint_slice(service)]
        elif manifest["kind"] == "Deployment":
            deployments.append(manifest)
        elif manifest["kind"] in WEBHOOKS:
            webhooks.append(manifest)
        elif manifest["kind"] not in NOT_A_POD:
            objects.append(manifest)
    if len(deployments) != 1:
        raise LabError(f"istioctl rendered {len(deployments)} Deployments instead of istiod's alone; see {OPERATOR}.")
    return Rendered(objects, webhooks, deployments[0])


def endpoint_slice(service: Manifest) -> Manifest:
    """Return the EndpointSlice that leads a Service without selector to the node."""
    name = service["metadata"]["name"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-node",
            "namespace": service["metadata"]["namespace"],
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        "ports": [
            {"name": port["name"], "port": port.get("targetPort", port["port"]), "protocol": port["protocol"]}
            for port in service["spec"]["ports"]
        ],
    }


def daemon(deployment: Manifest, folders: Folders) -> Daemon:
    """Return istiod with the arguments and the environment of its rendered *deployment*."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return Daemon(
        "istiod",
        [str(folders.programs / "pilot-discovery"), *container["args"]],
        environment(container["env"], {"KUBECONFIG": str(folders.pki / "istiod.kubeconfig")}),
    )


def environment(variables: Iterable[Manifest], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return a container's environment, with what only a pod could know put in by hand.

    References to resources are left out: there is no limit on a program of the node.
    """
    fields = {
        "metadata.name": "istiod-meshlab",
        "metadata.namespace": NAMESPACE,
        "spec.serviceAccountName": "istiod",
    }
    values = {}
    for variable in variables:
        source: dict[str, Any] = variable.get("valueFrom", {})
        if "fieldRef" in source:
            values[variable["name"]] = fields[source["fieldRef"]["fieldPath"]]
        elif not source:
            values[variable["name"]] = str(variable.get("value", ""))
    return {**values, **overrides}


def is_ready() -> bool:
    """Tell whether istiod's own readiness probe says yes."""
    try:
        return get(NODE_IP, READY_PORT, "/ready")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def effective_mesh_config() -> dict[str, Any]:
    """Return the mesh configuration that istiod works with, defaults included. Raises LabError."""
    try:
        status, body = get("127.0.0.1", MONITORING_PORT, "/debug/mesh")
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"istiod does not answer on its debug port: {error}; see 'python -m meshlab status'.") from error
    if status != 200:
        raise LabError(f"istiod refuses to show its mesh configuration with status {status}.")
    config: dict[str, Any] = json.loads(body)
    return config


def get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """Send a GET request inside the node's network namespace; return (status, body)."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.sock = network.connect(host, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
