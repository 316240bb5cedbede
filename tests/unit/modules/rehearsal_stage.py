# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stack on the API server of the unit tests, on which a copy of the proxy starts, answers and ends."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from typing import Any

from variations import destination_rule
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World, workload

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, Request
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import Object, load

SHADOW = "istio-remediation-shadow"
POD = f"{SHADOW}-abc-1"


class Stage:
    """The lab's stack, a controller for the copy's Deployment, and the copy's program with its sidecar."""

    def __init__(self, server: ApiServer, program: ApiServer) -> None:
        load(server)
        self.server, self.program = server, program
        self.tenants, self.status = ["x"], 200
        self.cluster = ""
        self.count = 0
        self.production = copy.deepcopy(server.objects)
        program.faults.append(self._answer)
        server.on_write = self._controller
        server.forwards[NS, POD, 8080] = ("127.0.0.1", int(program.url.rpartition(":")[2]))

    def rehearse(self, **options: Any) -> Object:
        given = {"host": self.server.url, "api_key": "token", "grafana_namespace": NS, "rehearse": True}
        return run_module(query_path_remediation, **{**given, "wait_timeout": 2, **options})

    def left(self) -> list[tuple[str, str, str]]:
        """What is there and was not before. Also fails where production is not byte for byte as it was."""
        assert {key: self.server.objects.get(key) for key in self.production} == self.production
        return [key for key in self.server.objects if key not in self.production]

    def ill_by_a_rule(self) -> None:
        """The proxy sends the right Host, and a DestinationRule tells its sidecar not to speak mTLS."""
        world = World()
        destination_rule({"mode": "DISABLE"})(world)
        load(self.server, world)
        self.server.on_write = self._controller
        self.production = copy.deepcopy(self.server.objects)

    def _way(self) -> tuple[str, str]:
        """Address and cluster of what the copy's program dials, by the names that its pod resolves by itself."""
        [spec] = [
            obj["spec"] for key, obj in self.server.objects.items() if key[0] == "deployments" and SHADOW in key[2]
        ]
        aliases = spec["template"]["spec"].get("hostAliases", [])
        if not aliases:
            return "10.96.0.4:9090", f"outbound|9090||{PROMETHEUS_HOST}"
        [alias] = aliases
        assert alias["hostnames"] == [PROMETHEUS_HOST]
        [name] = [key[2] for key in self.server.objects if key[0] == "services" and SHADOW in key[2]]
        return f"{alias['ip']}:9090", f"outbound|9090||{name}.{NS}.svc.cluster.local"

    def _controller(self, verb: str, written: Object) -> None:
        pod = ("pods", NS, POD)
        if written["kind"] == "Service" and verb == "create":
            written["spec"] |= {"clusterIP": "10.96.0.99", "clusterIPs": ["10.96.0.99"]}
        if written["kind"] != "Deployment" or verb == "create":
            return
        replicas = written["spec"]["replicas"] if verb == "patch" else 0
        status = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
        written["status"] = {"observedGeneration": written["metadata"].get("generation", 1), **status}
        if not replicas:
            self.server.objects.pop(pod, None)
            return
        made = workload("prom-label-proxy", "", 8080)[1]
        made["metadata"] |= {"name": POD, "labels": written["spec"]["template"]["metadata"]["labels"]}
        made["status"]["podIP"] = "10.9.1.30"
        self.server.objects[pod] = made
        self.server.logs[NS, POD, "istio-proxy"] = ""

    def _answer(self, request: Request) -> Answer:
        assert request.headers["host"] == f"{PROXY_HOST}:8080"
        self.count += 1
        when = (datetime.now(timezone.utc) + timedelta(seconds=2 + self.server.ahead)).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        )
        common = {"start_time": when, "response_code": 200, "response_flags": "-", "request_id": str(self.count)}
        common |= {"path": f"{request.path}?query={request.query['query']}"}
        address = f"10.9.1.30:{40000 + self.count}"
        dialled, cluster = self._way()
        client = {"upstream_local_address": address, "downstream_local_address": dialled}
        server = {"requested_server_name": f"outbound_.9090_._.{PROMETHEUS_HOST}", "downstream_remote_address": address}
        self._log(POD, {**common, **client, "upstream_cluster": self.cluster or cluster})
        self._log("prometheus-abc-1", {**common, **server, "upstream_cluster": "inbound|9090||"})
        result = [{"metric": {"__name__": "up", "namespace": tenant}, "value": [0, "1"]} for tenant in self.tenants]
        foreign = "namespace!=" in request.query["query"]
        found = [] if foreign and self.tenants == ["x"] else result
        return Answer(self.status, {"status": "success", "data": {"resultType": "vector", "result": found}})

    def _log(self, pod: str, record: Object) -> None:
        self.server.logs[NS, pod, "istio-proxy"] += f"{json.dumps(record)}\n"
