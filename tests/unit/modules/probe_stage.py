# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stack on the API server of the unit tests, with a Grafana on a socket whose replies and whose sidecars' log
lines a test decides.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from world import NS, PROMETHEUS_HOST, PROXY_HOST, World

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_probe
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, Request
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import Sidecar, routed
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module

API_TOKEN, GRAFANA_TOKEN = "canary-token-7f3a", "glsa_canary51c9"
GRAFANA, PROXY, PROMETHEUS = "grafana-abc-1", "prom-label-proxy-abc-1", "prometheus-abc-1"
CERTIFICATE = "By=spiffe://cluster.local/ns/monitoring/sa/b;Hash=1;URI=spiffe://cluster.local/ns/monitoring/sa/a"
UPSTREAM = {"outbound|8080": "10.9.1.3:8080", "outbound|9090": "10.9.1.4:9090"}


def healed() -> World:
    return World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])


class Mesh:
    """Grafana, the proxy and Prometheus behind it, as far as a probe sees them: replies and the sidecars' log lines."""

    def __init__(self, server: ApiServer, grafana: ApiServer) -> None:
        self._server = server
        self.grafana = grafana
        self.tenants = ["x"]
        self.broken = ""
        self.logs_cluster = f"outbound|9090||{PROMETHEUS_HOST}"
        self.count = 0
        grafana.faults.append(self._answer)
        port = int(grafana.url.rpartition(":")[2])
        server.forwards[NS, GRAFANA, 3000] = ("127.0.0.1", port)

    def _answer(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {GRAFANA_TOKEN}":
            return Answer(401, {"message": "Invalid API key"})
        if request.path == "/api/datasources":
            return Answer(200, [{"uid": "by-url", "url": f"http://{PROXY_HOST}:8080/"}])
        self.count += 1
        self._log(f"/api/v1/query?query={request.query['query']}")
        if self.broken:
            return Answer(503, self.broken.encode())
        result = [{"metric": {"__name__": "up", "namespace": tenant}, "value": [0, "1"]} for tenant in self.tenants]
        found = [] if "namespace!=" in request.query["query"] and self.tenants == ["x"] else result
        return Answer(200, {"status": "success", "data": {"resultType": "vector", "result": found}})

    def _log(self, path: str) -> None:
        address = f"10.9.1.3:{40000 + self.count}"
        when = (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        common = {"start_time": when, "response_code": 200, "response_flags": "-", "path": path}
        first = f"r{self.count}"
        self._append(
            GRAFANA,
            {**common, "request_id": first, "upstream_cluster": f"outbound|8080||{PROXY_HOST}"}
            | {
                "upstream_local_address": "10.9.1.2:50000",
                "upstream_host": "10.9.1.3:8080",
                "downstream_local_address": "10.96.0.3:8080",
            },
        )
        self._append(
            PROXY,
            {**common, "request_id": first, "upstream_cluster": "inbound|8080||"}
            | {
                "requested_server_name": f"outbound_.8080_._.{PROXY_HOST}",
                "downstream_remote_address": "10.9.1.2:50000",
            },
        )
        self._append(
            PROXY,
            {**common, "request_id": f"s{self.count}", "upstream_cluster": self.logs_cluster}
            | {
                "upstream_local_address": address,
                "downstream_local_address": "10.96.0.4:9090",
            },
        )
        self._append(
            PROMETHEUS,
            {**common, "request_id": f"s{self.count}", "upstream_cluster": "inbound|9090||"}
            | {
                "requested_server_name": f"outbound_.9090_._.{PROMETHEUS_HOST}",
                "downstream_remote_address": address,
            },
        )

    def _append(self, pod: str, record: dict[str, Any]) -> None:
        key = (NS, pod, "istio-proxy")
        self._server.logs[key] += f"{json.dumps(record)}\n"


class QuietMesh(Mesh):
    """Its sidecars write no access log, and debug lines only while their level is raised."""

    def __init__(self, server: ApiServer, grafana: ApiServer, folder: Path) -> None:
        super().__init__(server, grafana)
        self.sidecars = {pod: Sidecar(folder / pod) for pod in (GRAFANA, PROXY, PROMETHEUS)}
        server.programs |= {pod: sidecar.environment for pod, sidecar in self.sidecars.items()}
        self._connections = 0

    def _append(self, pod: str, record: dict[str, Any]) -> None:
        if self.sidecars[pod].levels["router"] == "debug":
            self._connections += 2
            cluster, inbound = record["upstream_cluster"], record["upstream_cluster"].startswith("inbound")
            lines = routed(
                cluster,
                record["path"],
                record["request_id"],
                self._connections,
                record["start_time"],
                UPSTREAM.get(cluster[:13], "127.0.0.6:9090"),
                CERTIFICATE if inbound else "",
            )
            self._server.logs[NS, pod, "istio-proxy"] += "\n".join(lines) + "\n"


def probe(server: ApiServer, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": API_TOKEN, "grafana_namespace": NS, "grafana_token": GRAFANA_TOKEN}
    return run_module(query_path_probe, **(given | options))
