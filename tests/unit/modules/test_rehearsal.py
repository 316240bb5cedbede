# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal, played on the API server of the unit tests: what is proved, what is left, and what is never touched."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from fault_matrix.killing import Killed, killing
from fault_matrix.play import gathering
from fault_matrix.rows import KILL_AFTER, ROWS
from world import NS, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease, shadow
from ansible_collections.meshops.istio_remediation.plugins.modules import (
    query_path_remediation,
    query_path_remediation_info,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube import rbac
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    is_dry,
    is_review,
    serving,
    status,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.rehearsal_stage import Stage
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import Object, load

EVERY = ["host_rewrite", "route_alias", "service_protocol", "destination_rule"]
KILL = next(row for row in ROWS if row.does == KILL_AFTER)


@pytest.fixture
def stage(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(shadow, "GONE_SECONDS", 1.0)
    with serving(ApiServer()) as program:
        yield Stage(server, program)


@pytest.fixture
def ill(stage: Stage, strategy: str) -> Stage:
    """Ill by what the strategy cures."""
    if strategy == "destination_rule":
        stage.ill_by_a_rule()
    return stage


def created(server: ApiServer) -> list[Object]:
    posts = [request for request in server.writes() if request.method == "POST" and "/leases" not in request.path]
    return [request.body for request in posts]


@pytest.mark.parametrize("strategy", EVERY)
def test_a_fix_is_proved_on_a_copy_and_nothing_is_left(ill: Stage, strategy: str) -> None:
    stage = ill
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
    name = "service_protocol (auto)" if strategy == "service_protocol" else strategy
    assert dry["msg"].startswith(f"Would rehearse {name} on Deployment/monitoring/istio-remediation-shadow-")

    result = stage.rehearse(strategy=strategy)
    proved = (
        f"Rehearsed {name}: queries pass from a copy of the proxy to Deployment/monitoring/prometheus, and it is "
        "proved. Nothing was changed."
    )
    assert result["msg"] == " ".join([proved, *result["not_shown"]])
    assert bool(result["not_shown"]) == (strategy in ("service_protocol", "destination_rule"))
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


@pytest.mark.parametrize("strategy", EVERY)
def test_whatever_write_a_run_is_killed_after_the_next_one_leaves_nothing(ill: Stage, strategy: str) -> None:
    stage = ill
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


def leave(stage: Stage) -> str:
    """Kill a rehearsal whose copy has just started; return the copy's `namespace/name`."""
    [deployment, *_others] = stage.rehearse(strategy="route_alias")["shadow"]
    name = deployment.rpartition("/")[2]
    calls = enumerate(stage.server.requests)
    starts = next(number for number, call in calls if call.method == "PATCH" and name in call.path)
    stage.server.requests.clear()
    with killing(KILL, starts), pytest.raises(Killed):
        stage.rehearse(strategy="route_alias")
    stage.server.ahead = lease.DURATION + 1
    assert {key[0] for key in stage.left()} == {
        "deployments",
        "pods",
        "authorizationpolicies",
        "virtualservices",
        "leases",
    }
    return f"{NS}/{name}"


def test_what_was_left_is_told_in_check_mode_and_removed_before_a_fix_is_applied(stage: Stage) -> None:
    copied = leave(stage)
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS}
    [warning] = warned(check=True, strategy="host_rewrite", **given)
    assert warning == (
        f"Deployment {copied} is of a rehearsal that is under way or was killed. In the latter case the next fix or "
        "rehearsal on this path removes it first."
    )
    assert warned(strategy="route_alias", **given) == [
        f"Removed Deployment {copied} and what it owned: a rehearsal had left it."
    ]
    assert [key for key in stage.server.objects if "shadow" in key[2]] == []


def test_a_check_foresees_the_run_that_removes_what_was_left(stage: Stage) -> None:
    leave(stage)
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS, "strategy": "route_alias"}
    checked = run_module(query_path_remediation, True, **given)
    assert not checked.get("failed"), checked["msg"]
    done = run_module(query_path_remediation, **given)
    assert (checked["plan_hash"], checked["changes"]) == (done["plan_hash"], done["changes"])


def test_whoever_may_not_see_whether_a_copy_was_left_is_told_that_it_is_unknown(stage: Stage) -> None:
    hide_copies(stage)
    unknown = f"Whether a rehearsal left a copy in namespace {NS} is unknown: Not allowed to get Deployment {NS}/istio-"
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS}
    for options in ({"check": True}, {}, {"state": "reverted"}):
        [warning] = warned(**given, **options)
        assert warning.startswith(unknown)


def test_a_rollback_tells_of_a_copy_and_leaves_it(stage: Stage) -> None:
    copied = leave(stage)
    [warning] = warned(host=stage.server.url, api_key="token", grafana_namespace=NS, state="reverted")
    assert warning.startswith(f"Deployment {copied} is of a rehearsal that is under way or was killed.")
    assert any(key[2] == copied.partition("/")[2] for key in stage.left())


@pytest.mark.parametrize("all_paths", [False, True])
def test_whoever_lists_runs_is_told_of_a_copy_wherever_it_stands(stage: Stage, all_paths: bool) -> None:
    copied = leave(stage)
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS, "all_paths": all_paths}
    found = run_module(query_path_remediation_info, **given)
    assert (found["copies"], found["unknown"]) == ([{"deployment": copied, "under_way": False}], [])
    assert [holder["expired"] for holder in found["holders"]] == [True]
    stage.server.ahead = 0.0
    found = run_module(query_path_remediation_info, **given)
    assert found["copies"] == [{"deployment": copied, "under_way": True}]
    # Of another Grafana nothing is told unless it is asked for.
    other = run_module(query_path_remediation_info, **{**given, "grafana_name": "other"})
    assert (other["copies"] != []) is all_paths


def test_where_the_cluster_may_not_be_listed_copies_are_looked_for_by_name(stage: Stage) -> None:
    copied = leave(stage)
    given = {"host": stage.server.url, "api_key": "token", "grafana_namespace": NS}
    stage.server.authorizer.grants = rbac.grants("reader", NS)
    stage.server.authorizer.grants[NS] += rbac.rules("journal.yaml")
    rbac.enforce(stage.server)
    found = run_module(query_path_remediation_info, **given)
    assert found["copies"] == [{"deployment": copied, "under_way": False}]
    [unknown] = found["unknown"]
    assert unknown.startswith(f"Whether a rehearsal left a copy in another namespace than {NS} is unknown: Not allowed")
    hide_copies(stage)
    found = run_module(query_path_remediation_info, **given)
    assert found["copies"] == []
    assert [text.partition(" is unknown")[0] for text in found["unknown"]] == [
        f"Whether a rehearsal left a copy in namespace {NS}",
        f"Whether a rehearsal left a copy in another namespace than {NS}",
    ]


def hide_copies(stage: Stage) -> None:
    """Nobody may see a Deployment of a rehearsal."""

    def fault(request: Request) -> Answer | None:
        about_one = request.method == "GET" and "/istio-remediation-shadow-" in request.path
        return Answer(403, status(403, "Forbidden", "no")) if about_one else None

    stage.server.faults.append(fault)


def warned(**options: Any) -> list[str]:
    """What a run that does not fail warns of."""
    warnings: list[str] = []
    with gathering(warnings):
        result = run_module(query_path_remediation, **options)
    assert not result.get("failed"), result["msg"]
    return warnings


def test_a_deployment_of_the_same_name_is_not_touched(stage: Stage) -> None:
    name = stage.rehearse(strategy="host_rewrite")["shadow"][0].rpartition("/")[2]
    theirs = copy.deepcopy(stage.server.add("Deployment", NS, name, spec={"replicas": 1}))
    result = stage.rehearse(strategy="host_rewrite")
    assert result["failed"] is True
    assert f"Deployment monitoring/{name} is not of a rehearsal" in result["msg"]
    assert stage.server.stored("Deployment", NS, name) == theirs


@pytest.mark.parametrize("strategy", EVERY)
def test_the_shipped_rights_are_enough(ill: Stage, strategy: str) -> None:
    stage = ill
    granted = rbac.grants("remediator", NS, journal="istio-remediation")
    granted[NS] += rbac.rules("rehearsal.yaml")
    stage.server.authorizer.grants = granted
    refused = rbac.enforce(stage.server)
    result = stage.rehearse(strategy=strategy, journal_namespace="istio-remediation")
    assert result.get("result") == "passed", result["msg"]
    assert [what for what in refused if not what.startswith("get pods/exec")] == []


def test_an_owner_is_no_hindrance_for_nothing_of_its_is_written_to(stage: Stage) -> None:
    owned = stage.server.stored("Deployment", NS, "prom-label-proxy")
    owned["metadata"]["annotations"] = {"meta.helm.sh/release-name": "plp", "meta.helm.sh/release-namespace": NS}
    stage.production = copy.deepcopy(stage.server.objects)
    result = stage.rehearse(strategy="host_rewrite")
    assert (result["result"], result["changed"]) == ("passed", False)
    assert [entry["owner"] for entry in result["at_owner"]] == ["Helm release monitoring/plp"]
    assert stage.left() == []


def test_what_cannot_be_shown_is_refused_with_its_reason(server: ApiServer) -> None:
    world = World()
    world.get("Service", "prometheus")["spec"] |= {"clusterIP": "None", "clusterIPs": ["None"]}
    load(server, world)
    given = {"host": server.url, "api_key": "token", "grafana_namespace": NS, "strategy": "service_protocol"}
    result = run_module(query_path_remediation, **given, rehearse=True)
    assert result["failed"] is True
    assert result["msg"] == (
        "service_protocol (auto) cannot be rehearsed, so nothing was begun. Service monitoring/prometheus has no "
        "address of its own that leads to pods, so none can stand for it."
    )
    assert server.writes() == []
