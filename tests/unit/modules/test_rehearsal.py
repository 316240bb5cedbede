# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal, played on the API server of the unit tests: what is proved, what is left, and what is never touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from fault_matrix.killing import Killed, killing
from fault_matrix.rows import KILL_AFTER, ROWS
from world import NS, PROMETHEUS_HOST, PROXY_HOST, workload

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease, shadow
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube import rbac
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    is_dry,
    is_review,
    serving,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

Object = dict[str, Any]
POD = "istio-remediation-shadow-abc-1"
KILL = next(row for row in ROWS if row.does == KILL_AFTER)


class Stage:
    """The lab's stack, a controller for the copy's Deployment, and the copy's program with its sidecar."""

    def __init__(self, server: ApiServer, program: ApiServer) -> None:
        load(server)
        self.server, self.program = server, program
        self.tenants, self.status = ["x"], 200
        self.cluster = f"outbound|9090||{PROMETHEUS_HOST}"
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

    def _controller(self, verb: str, written: Object) -> None:
        pod = ("pods", NS, POD)
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
        client = {"upstream_local_address": address, "downstream_local_address": "10.96.0.4:9090"}
        server = {"requested_server_name": f"outbound_.9090_._.{PROMETHEUS_HOST}", "downstream_remote_address": address}
        self._log(POD, {**common, **client, "upstream_cluster": self.cluster})
        self._log("prometheus-abc-1", {**common, **server, "upstream_cluster": "inbound|9090||"})
        result = [{"metric": {"__name__": "up", "namespace": tenant}, "value": [0, "1"]} for tenant in self.tenants]
        foreign = "namespace!=" in request.query["query"]
        found = [] if foreign and self.tenants == ["x"] else result
        return Answer(self.status, {"status": "success", "data": {"resultType": "vector", "result": found}})

    def _log(self, pod: str, record: Object) -> None:
        self.server.logs[NS, pod, "istio-proxy"] += f"{json.dumps(record)}\n"


@pytest.fixture
def stage(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(shadow, "GONE_SECONDS", 1.0)
    with serving(ApiServer()) as program:
        yield Stage(server, program)


def created(server: ApiServer) -> list[Object]:
    posts = [request for request in server.writes() if request.method == "POST" and "/leases" not in request.path]
    return [request.body for request in posts]


@pytest.mark.parametrize("strategy", ["host_rewrite", "route_alias"])
def test_a_fix_is_proved_on_a_copy_and_nothing_is_left(stage: Stage, strategy: str) -> None:
    dry = run_module(
        query_path_remediation,
        check=True,
        host=stage.server.url,
        api_key="token",
        grafana_namespace=NS,
        strategy=strategy,
        rehearse=True,
    )
    assert stage.server.writes() == []
    assert dry["msg"].startswith(f"Would rehearse {strategy} on Deployment/monitoring/istio-remediation-shadow-")

    result = stage.rehearse(strategy=strategy)
    assert result["msg"] == (
        f"Rehearsed {strategy}: queries pass from a copy of the proxy to Deployment/monitoring/prometheus, and it is "
        "proved. Nothing was changed."
    )
    assert (result["changed"], result["result"], result["run"]) == (False, "passed", "")
    assert {check["result"] for check in result["checks"]} == {"passed"}
    assert "replicas" not in {check["name"] for check in result["checks"]}
    assert [f"{body['kind']}/{NS}/{body['metadata']['name']}" for body in created(stage.server)] == result["shadow"]
    assert result["shadow"] == dry["shadow"]
    assert stage.left() == []


def test_the_copy_is_owned_and_closed_before_it_has_a_pod(stage: Stage) -> None:
    stage.rehearse(strategy="host_rewrite")
    deployment, policy = created(stage.server)
    assert deployment["spec"]["replicas"] == 0
    [owner] = policy["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert policy["spec"]["action"] == "DENY"
    assert policy["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ({"cluster": "PassthroughCluster"}, "a request left through PassthroughCluster"),
        ({"tenants": ["x", "secret"]}, "was shown series with namespace='secret'"),
        ({"status": 503}, "a query was answered with 503"),
    ],
)
def test_a_fix_that_does_not_heal_or_keep_its_promises_fails(stage: Stage, harm: Object, says: str) -> None:
    for name, value in harm.items():
        setattr(stage, name, value)
    result = stage.rehearse(strategy="host_rewrite")
    assert (result["failed"], result["changed"], result["result"]) == (True, False, "failed")
    assert says in result["msg"]
    assert stage.left() == []


def test_a_copy_that_never_starts_is_removed(stage: Stage) -> None:
    stage.server.on_write = lambda _verb, _object: None
    result = stage.rehearse(strategy="host_rewrite", wait_timeout=0)
    assert (result["failed"], result["changed"]) == (True, False)
    assert "did not finish its rollout within 0 seconds" in result["msg"]
    assert stage.left() == []


def test_what_cannot_be_removed_is_said(stage: Stage) -> None:
    stage.server.forbid("DELETE", "deployments")
    result = stage.rehearse(strategy="host_rewrite")
    assert (result["failed"], result["changed"]) == (True, True)
    [left] = result["left"]
    assert left.startswith("Deployment monitoring/istio-remediation-shadow-")
    assert [plural for plural, _namespace, _name in stage.left()] == ["deployments"]


@pytest.mark.parametrize("strategy", ["host_rewrite", "route_alias"])
def test_whatever_write_a_run_is_killed_after_the_next_one_leaves_nothing(stage: Stage, strategy: str) -> None:
    begin = copy.deepcopy(stage.server.objects)
    stage.rehearse(strategy=strategy)
    calls = list(stage.server.requests)
    writes = [
        number for number, call in enumerate(calls) if not (call.method == "GET" or is_dry(call) or is_review(call))
    ]
    assert len(writes) >= 7
    for index in writes:
        stage.server.objects = copy.deepcopy(begin)
        stage.server.ahead = 0.0
        with killing(KILL, index), pytest.raises(Killed):
            stage.rehearse(strategy=strategy)
        stage.server.ahead = lease.DURATION + 1
        marked = any(key[0] == "deployments" for key in stage.left())
        assert marked or {key[0] for key in stage.left()} <= {"leases"}
        result = stage.rehearse(strategy=strategy)
        assert not result.get("failed"), (calls[index].path, result["msg"])
        assert stage.left() == []


def test_what_was_left_is_removed_before_a_fix_is_applied(stage: Stage) -> None:
    stage.rehearse(strategy="route_alias")
    [deployment, _policy, alias] = created(stage.server)
    for body in (deployment, alias):
        stage.server.add(
            body["kind"], NS, body["metadata"]["name"], labels=body["metadata"]["labels"], spec=body["spec"]
        )
    orphan = stage.server.stored("Deployment", NS, deployment["metadata"]["name"])
    orphan["metadata"]["annotations"] = deployment["metadata"]["annotations"]
    result = stage.rehearse(strategy="route_alias", rehearse=False)
    assert result["changed"] is True, result["msg"]
    assert [key for key in stage.server.objects if "shadow" in key[2]] == []


def test_a_deployment_of_the_same_name_is_not_touched(stage: Stage) -> None:
    name = stage.rehearse(strategy="host_rewrite")["shadow"][0].rpartition("/")[2]
    theirs = copy.deepcopy(stage.server.add("Deployment", NS, name, spec={"replicas": 1}))
    result = stage.rehearse(strategy="host_rewrite")
    assert result["failed"] is True
    assert f"Deployment monitoring/{name} is not of a rehearsal" in result["msg"]
    assert stage.server.stored("Deployment", NS, name) == theirs


@pytest.mark.parametrize("strategy", ["host_rewrite", "route_alias"])
def test_the_shipped_rights_are_enough(stage: Stage, strategy: str) -> None:
    granted = rbac.grants("remediator", NS, journal="istio-remediation")
    granted[NS] += rbac.rules("rehearsal.yaml")
    stage.server.authorizer.grants = granted
    refused = rbac.enforce(stage.server)
    result = stage.rehearse(strategy=strategy, journal_namespace="istio-remediation")
    assert result.get("result") == "passed", result["msg"]
    assert [what for what in refused if not what.startswith("get pods/exec")] == []


def test_no_other_fix_is_rehearsed_and_the_reason_is_said(stage: Stage) -> None:
    result = stage.rehearse(strategy="service_protocol")
    assert result["failed"] is True
    assert result["msg"] == (
        "service_protocol (auto) cannot be rehearsed, so nothing was begun. Service/monitoring/prometheus is in use by "
        "others than the proxy, and a copy beside it would not show what they meet."
    )
    assert stage.server.writes() == []
