# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from world import NS

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.lease import DURATION, take
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import JOURNAL_LABEL, PATH_LABEL
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.modules import (
    query_path_remediation,
    query_path_remediation_info,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import make_client
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

PATH_ID = Question(NS, "grafana").path_id


def listed(server: ApiServer, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": "canary-token-7f3a", "grafana_namespace": NS, **options}
    result = run_module(query_path_remediation_info, **given)
    assert result.get("changed", False) is False
    return result


def remediate(server: ApiServer, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": "canary-token-7f3a", "grafana_namespace": NS, **options}
    return run_module(query_path_remediation, **given)


def test_runs_are_listed_newest_first_with_what_they_changed(server: ApiServer) -> None:
    load(server)
    first = remediate(server, strategy="service_protocol")
    remediate(server, state="reverted")
    second = remediate(server, strategy="route_alias")
    written = len(server.writes())
    found = listed(server)
    assert len(server.writes()) == written
    assert [run["name"] for run in found["runs"]] == [second["run"], first["run"]]
    newest, oldest = found["runs"]
    assert (newest["state"], newest["open"], oldest["state"], oldest["open"]) == ("applied", True, "reverted", False)
    assert (newest["strategy"], newest["plan_hash"]) == ("route_alias", second["plan_hash"])
    assert (newest["grafana"], newest["note"]) == ("Deployment/monitoring/grafana", "")
    assert newest["started"] <= newest["updated"]
    assert "@" in newest["who"]
    states = [{**change, "state": "applied"} for change in second["changes"]]
    assert newest["changes"] == states
    assert {change["state"] for change in oldest["changes"]} == {"reverted"}
    assert (found["unreadable"], found["holders"]) == ([], [])


def test_another_grafanas_runs_are_listed_on_demand_alone(server: ApiServer) -> None:
    load(server)
    run = remediate(server, strategy="route_alias")["run"]
    assert listed(server, grafana_name="other")["runs"] == []
    assert [found["name"] for found in listed(server, grafana_name="other", all_paths=True)["runs"]] == [run]


def test_a_record_that_cannot_be_read_is_said_and_hides_no_other(server: ApiServer) -> None:
    load(server)
    run = remediate(server, strategy="route_alias")["run"]
    labels = {JOURNAL_LABEL: "true", PATH_LABEL: PATH_ID}
    server.add("ConfigMap", NS, "broken", labels=labels, data={"state": "applied", "changes": "[{"})
    found = listed(server)
    assert [found["name"] for found in found["runs"]] == [run]
    [sentence] = found["unreadable"]
    assert sentence.startswith("ConfigMap monitoring/broken is no journal that can be read")


@pytest.mark.parametrize("later", [0, DURATION + 1])
def test_whoever_holds_the_path_is_named_dead_or_alive(server: ApiServer, later: float) -> None:
    load(server)
    client = make_client(server)
    take(client, NS, PATH_ID)
    client.transport.close()
    server.ahead = later
    [holder] = listed(server)["holders"]
    assert holder["lease"] == f"monitoring/istio-remediation-{PATH_ID}"
    assert "@" in holder["who"]
    assert holder["since"] < holder["until"]
    assert holder["expired"] is (later > 0)


def test_a_list_that_may_not_be_read_is_no_empty_list(server: ApiServer) -> None:
    load(server)
    server.forbid("GET", "configmaps")
    found = listed(server)
    assert found["failed"] is True
    assert found["msg"].startswith("Not allowed to list ConfigMap in namespace monitoring: ")
