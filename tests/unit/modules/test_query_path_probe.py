# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against a Grafana on a socket, whose answers and log lines a test decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
from world import PROXY_HOST

from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import probe as probe_room
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    serving,
    status,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.probe_stage import (
    API_TOKEN,
    GRAFANA_TOKEN,
    PROXY,
    Mesh,
    healed,
    probe,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load


@pytest.fixture
def mesh(server: ApiServer) -> Iterator[Mesh]:
    load(server, healed())
    with serving(ApiServer()) as grafana:
        yield Mesh(server, grafana)


@pytest.mark.usefixtures("mesh")
def test_a_sound_path_is_proved_and_nothing_is_written(server: ApiServer) -> None:
    result = probe(server)
    assert result["result"] == "passed", result
    assert result["changed"] is False
    assert result["msg"] == (
        "Queries pass from Deployment/monitoring/grafana to Deployment/monitoring/prometheus, and it is proved."
    )
    assert {check["result"] for check in result["checks"]} == {"passed"}
    assert result["replies"] == {"own": {"200": 8}, "foreign": {"200": 2}}
    [replica] = result["replicas"]
    assert replica["pod"] == PROXY
    assert replica["served"] >= 8
    assert (result["tenant_label"], result["tenant"]) == ("namespace", "x")
    assert server.writes() == []
    assert GRAFANA_TOKEN not in json.dumps(result)
    assert API_TOKEN not in json.dumps(result)


def test_nothing_is_asked_in_another_cluster(server: ApiServer, mesh: Mesh) -> None:
    server.add("Namespace", "", "kube-system")["metadata"]["uid"] = "cluster-a"
    result = probe(server, expect_cluster_uid="cluster-b")
    assert result["msg"] == (
        f"The API server at {server.url} is that of cluster cluster-a, not of cluster-b as expect_cluster_uid says, so "
        "nothing was begun; check kubeconfig and context."
    )
    assert mesh.count == 0
    assert probe(server, expect_cluster_uid="cluster-a")["cluster_uid"] == "cluster-a"


def test_the_question_goes_the_users_way(server: ApiServer, mesh: Mesh) -> None:
    nonce = probe(server, other_tenant="secret")["nonce"]
    asked = [request for request in mesh.grafana.requests if nonce in request.query.get("query", "")]
    assert {urlsplit(request.path).path for request in asked} == {"/api/datasources/proxy/uid/tenant-x/api/v1/query"}
    assert {request.query["namespace"] for request in asked} == {"x"}
    assert {request.query["query"] for request in asked} == {
        f'topk(20,up{{meshops_probe!="{nonce}"}})',
        f'topk(20,up{{namespace="secret",meshops_probe!="{nonce}"}})',
    }


def test_grafana_by_its_url_needs_no_port_forward(server: ApiServer, mesh: Mesh) -> None:
    assert probe(server, grafana_url=mesh.grafana.url)["result"] == "passed"
    assert not [request for request in server.requests if request.path.endswith("/portforward")]


def test_a_data_source_given_by_url_is_looked_up(server: ApiServer, mesh: Mesh) -> None:
    result = probe(server, datasource_url=f"http://{PROXY_HOST}:8080", tenant="x")
    assert result["result"] == "passed", result
    assert "/api/datasources/proxy/uid/by-url/api/v1/query" in {request.path for request in mesh.grafana.requests}
    message = probe(server, datasource_url=f"http://{PROXY_HOST}:8080/other")["msg"]
    assert "No data sources of Grafana in Pod monitoring/grafana-abc-1 have the URL" in message


def test_the_failure_fails_at_once_with_what_was_seen(server: ApiServer, mesh: Mesh) -> None:
    mesh.broken, mesh.logs_cluster = "upstream connect error … connection termination", "PassthroughCluster"
    result = probe(server)
    assert (result["failed"], result["result"]) == (True, "failed")
    assert result["msg"].startswith("The path is not sound: answers: a query was answered with 503: upstream connect")
    assert result["replies"]["own"] == {"503": 8}


def test_a_tenant_leak_fails(server: ApiServer, mesh: Mesh) -> None:
    mesh.tenants = ["x", "secret"]
    result = probe(server)
    assert result["result"] == "failed"
    assert "namespace='secret'" in result["msg"]


@pytest.mark.usefixtures("mesh")
def test_no_log_line_is_no_proof_and_is_asked_for_in_growing_rounds(server: ApiServer) -> None:
    server.forbid("GET", "log")
    result = probe(server, requests=2)
    assert (result["failed"], result["result"]) == (True, "inconclusive")
    assert result["replies"]["own"] == {"200": 2 + 4 + 6 + 8}
    assert "Not allowed to log Pod" in result["msg"]
    allowed = probe(server, requests=2, allow_inconclusive=True)
    assert "failed" not in allowed
    assert allowed["result"] == "inconclusive"


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"grafana_token": "glsa_wrong0000"}, "refuses the query (401): Invalid API key; check grafana_token."),
        ({"query": "sum(up)"}, "query 'sum(up)' must be the name of a metric"),
        ({"requests": 0}, "requests must be between 1 and 100."),
        ({"other_tenant": "x"}, "which is the tenant of this data source itself"),
        ({"grafana_url": "ftp://x"}, "grafana_url must look like https://grafana.example.com"),
    ],
)
def test_bad_input_is_one_sentence(server: ApiServer, options: dict[str, Any], sentence: str) -> None:
    result = probe(server, **options)
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert "result" not in result


def test_without_the_right_to_port_forward(server: ApiServer, mesh: Mesh) -> None:
    message = 'pods "grafana-abc-1" is forbidden: User "tester" cannot create resource "pods/portforward"'
    refused = Answer(403, status(403, "Forbidden", message))
    server.faults.append(lambda request: refused if request.path.endswith("/portforward") else None)
    result = probe(server)
    assert result["failed"] is True
    assert "Not allowed to portforward Pod monitoring/grafana-abc-1: " in result["msg"]
    assert mesh.grafana.requests == []


def test_a_query_that_is_lost_on_the_way_to_grafana_makes_it_inconclusive_at_once(
    server: ApiServer, mesh: Mesh
) -> None:
    result = probe(server, grafana_url="http://127.0.0.1:1")
    assert (result["failed"], result["result"]) == (True, "inconclusive")
    assert "answers: a query got no answer from Grafana: Cannot reach Grafana at http://127.0.0.1:1" in result["msg"]
    assert result["replies"]["own"] == {"0": 8}
    assert mesh.count == 0


def test_whoever_cannot_connect_does_not_keep_the_others_waiting(
    server: ApiServer, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[bool] = []

    class Noted(Barrier):
        def abort(self) -> None:
            released.append(True)
            super().abort()

    monkeypatch.setattr(probe_room, "Barrier", Noted)
    lost = Answer(503, b"lost", cut=1)
    streams: list[Request] = []

    def first_own_one(request: Request) -> Answer | None:
        streams.extend([request] if request.path.endswith("/portforward") else [])
        return lost if len(streams) == probe_room.AHEAD_QUERIES + 1 and streams[-1] is request else None

    server.faults.append(first_own_one)
    assert (probe(server, requests=2)["result"], len(released), mesh.count) == ("inconclusive", 1, 6)
