# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stack behind an API server on a socket: what a module finds when it connects."""

from __future__ import annotations

import copy
import json
from typing import Any

from world import NS, PROXY_HOST, USAGE, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.kinds import RESOURCES
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer

Object = dict[str, Any]
DATASOURCE = {
    "uid": "tenant-x",
    "name": "Prometheus (tenant x)",
    "type": "prometheus",
    "url": f"http://{PROXY_HOST}:8080",
    "jsonData": {"customQueryParameters": "namespace=x"},
}


def load(server: ApiServer, world: World | None = None, usage: str = USAGE) -> None:
    """Put a world's objects into the API server, and a controller that rolls Deployments out at once."""
    for stored in (world or World()).objects:
        metadata = stored["metadata"]
        server.objects[RESOURCES[stored["kind"]].plural, metadata["namespace"], metadata["name"]] = copy.deepcopy(
            stored
        )
    server.add("ConfigMap", "istio-system", "istio", data={"mesh": "accessLogFile: /dev/stdout\n"})
    provisioned = json.dumps({"apiVersion": 1, "datasources": [DATASOURCE]})
    labels = {"grafana_datasource": "1"}
    server.add("ConfigMap", NS, "grafana-datasources", labels=labels, data={"sources.yaml": provisioned})
    for (plural, namespace, name), _stored in list(server.objects.items()):
        if plural == "pods":
            server.logs[namespace, name, "istio-proxy"] = ""
    server.commands["/bin/prom-label-proxy", "-help"] = ("", usage, 0)

    def controller(verb: str, written: Object) -> None:
        if verb == "patch" and written["kind"] == "Deployment":
            roll_out(server, written)

    server.on_write = controller


def roll_out(server: ApiServer, deployment: Object) -> None:
    generation = deployment["metadata"].get("generation", 1)
    deployment["status"] = {
        "observedGeneration": generation,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
    }
    template = deployment["spec"]["template"]["spec"]["containers"]
    pod = server.stored("Pod", NS, f"{deployment['metadata']['name']}-abc-1")
    pod["spec"]["containers"] = copy.deepcopy(template)
