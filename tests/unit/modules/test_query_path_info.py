# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World

from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_info, query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, status
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

TOKEN = "canary-token-7f3a"


def info(server: ApiServer, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": TOKEN, "grafana_namespace": NS, **options}
    return run_module(query_path_info, **given)


def test_the_headline_from_one_task(server: ApiServer) -> None:
    load(server)
    server.forbid("GET", "exec")  # reader.yaml does not grant it
    result = info(server)
    assert (result["verdict"]["status"], result["verdict"]["code"]) == ("broken", "QP101")
    assert result["datasource"]["source"] == f"ConfigMap/{NS}/grafana-datasources"
    assert result["changed"] is False
    assert result["unknown"] == []
    assert result["api"]["requests"] == len(server.requests) <= 25
    assert {request.method for request in server.requests} == {"GET"}
    assert [request.path for request in server.requests if request.path.endswith("/exec")][1:] == []


@pytest.mark.parametrize("logs", ["silent", "as written"])
@pytest.mark.parametrize("option", [{}, {"read_secrets": True}], ids=str)
def test_the_limit_holds_where_exec_is_granted_but_fails(server: ApiServer, option: dict[str, Any], logs: str) -> None:
    load(server)
    for container in server.logs if logs == "silent" else ():
        server.logs[container] = ""
    result = info(server, **option)
    assert any(request.path.endswith("/exec") for request in server.requests)
    assert result["verdict"]["code"] == "QP101"
    assert result["api"]["requests"] == len(server.requests) <= 25


def load_owned(server: ApiServer) -> None:
    """Argo CD owns what owns the Service and the Deployment."""
    world = World()
    for kind, name in (("Service", "prometheus"), ("Deployment", "prom-label-proxy")):
        reference = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "name": name, "uid": name}
        world.get(kind, name)["metadata"]["ownerReferences"] = [reference]
    load(server, world)
    for _kind, name in (("Service", "prometheus"), ("Deployment", "prom-label-proxy")):
        stored = server.add("Prometheus", NS, name, annotations={"argocd.argoproj.io/tracking-id": f"app-of-{name}:x"})
        stored["metadata"]["uid"] = name


@pytest.mark.parametrize("left", [0, 2])
def test_the_limit_holds_with_owners_too_and_what_is_not_asked_is_said(server: ApiServer, left: int) -> None:
    load_owned(server)
    spared = {"read_logs": False, "datasource_url": f"http://{PROXY_HOST}:8080"}
    result = info(server, **(spared if left else {}))
    assert result["api"]["requests"] == len(server.requests) <= 25
    told = json.dumps(result["remedies"])
    for name in ("prometheus", "prom-label-proxy"):
        known = f"Prometheus {name} in Argo CD application app-of-{name}" in told
        unknown = f"Prometheus {name} cannot be read: a diagnosis makes at most 25 requests, and none is left" in told
        assert (known, unknown) == (left > 0, left == 0)


def test_a_fix_asks_for_the_root_whatever_it_costs(server: ApiServer) -> None:
    load_owned(server)
    given = {"host": server.url, "api_key": TOKEN, "grafana_namespace": NS, "strategy": "service_protocol"}
    refused = run_module(query_path_remediation, **given)
    assert (
        "Service/monitoring/prometheus is managed by Prometheus prometheus in Argo CD application app-of-prom"
        in (refused["msg"])
    )
    assert {request.method for request in server.requests} & {"PUT", "PATCH", "DELETE"} == set()


def test_nothing_is_listed_in_the_whole_cluster_but_what_applies_across_namespaces(server: ApiServer) -> None:
    load(server)
    info(server)
    wide = {
        request.path.rpartition("/")[2]
        for request in server.requests
        if "/namespaces" not in request.path and request.path != "/version"
    }
    assert wide <= {"virtualservices", "serviceentries"}


def test_secrets_appear_nowhere(server: ApiServer) -> None:
    world = World().proxy_args(lambda args: [*args, f"--remote-token={TOKEN}2"])
    load(server, world)
    server.logs[NS, "grafana-abc-1", "istio-proxy"] = f"Authorization: Bearer {TOKEN}3\n"
    result = info(server)
    assert result["remedies"][0]["strategy"] == "host_rewrite"
    assert TOKEN not in json.dumps(result)


def test_environment_variables_of_kubernetes_core_and_awx(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    load(server)
    monkeypatch.setenv("K8S_AUTH_HOST", server.url)
    monkeypatch.setenv("K8S_AUTH_API_KEY", TOKEN)
    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", "no")
    result = run_module(query_path_info, grafana_namespace=NS)
    assert result["verdict"]["status"] == "broken"
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_missing_right_makes_the_answer_unknown(server: ApiServer) -> None:
    load(server)
    server.forbid("GET", "virtualservices")
    result = info(server)
    assert any("VirtualService" in sentence and "Not allowed" in sentence for sentence in result["unknown"])


DIRECT = {"uid": "direct", "name": "Direct", "type": "prometheus", "url": f"http://{PROMETHEUS_HOST}:9090"}
OUTSIDE = {"uid": "outside", "name": "Outside", "type": "prometheus", "url": "https://metrics.example.com"}


def provision(server: ApiServer, *sources: dict[str, Any]) -> None:
    data = {"sources.yaml": json.dumps({"datasources": [*sources, {"uid": "l", "type": "loki", "url": "http://loki"}]})}
    server.add("ConfigMap", NS, "more", labels={"grafana_datasource": "1"}, data=data)


def test_all_data_sources_in_one_run_worst_first_and_what_they_share_read_once(server: ApiServer) -> None:
    load(server)
    provision(server, DIRECT, OUTSIDE)
    result = info(server, all_datasources=True)
    shown = [(path["datasource"]["uid"], path["verdict"]["status"]) for path in result["paths"]]
    assert shown == [("tenant-x", "broken"), ("outside", "inconclusive"), ("direct", "healthy")]
    assert result["verdict"] == result["paths"][0]["verdict"]
    assert result["unknown"] == []
    assert "metrics.example.com" in result["paths"][1]["verdict"]["summary"]
    assert result["api"]["requests"] == len(server.requests)
    asked = [f"{request.path}?{sorted(request.query.items())}" for request in server.requests]
    assert sorted(set(asked)) == sorted(asked)
    keys = {frozenset(path) for path in result["paths"]}
    assert keys == {frozenset(info(server, datasource_uid="direct")) - {"api", "changed", "invocation"}}


def test_data_sources_by_their_uids_one_of_which_is_not_there(server: ApiServer) -> None:
    load(server)
    provision(server, DIRECT)
    result = info(server, datasource_uids=["direct", "gone", "direct"])
    shown = [(path["datasource"]["uid"], path["verdict"]["status"]) for path in result["paths"]]
    assert shown == [("gone", "inconclusive"), ("direct", "healthy")]
    assert "No data source with uid 'gone'" in result["verdict"]["summary"]


def test_all_that_is_seen_is_healthy_and_there_may_be_more(server: ApiServer) -> None:
    load(server)
    data = {"a.yaml": json.dumps({"datasources": [DIRECT]}), "b.yaml": "datasources: ["}
    server.add("ConfigMap", NS, "grafana-datasources", labels={"grafana_datasource": "1"}, data=data)
    result = info(server, all_datasources=True)
    assert [path["verdict"]["status"] for path in result["paths"]] == ["healthy"]
    assert result["verdict"]["status"] == "inconclusive"
    assert "key b.yaml of ConfigMap monitoring/grafana-datasources" in result["verdict"]["summary"]


def test_a_snapshot_of_several_paths_gives_the_same_paths(server: ApiServer, tmp_path: Path) -> None:
    load(server)
    provision(server, DIRECT, OUTSIDE)
    file = str(tmp_path / "snapshot.json")
    live = info(server, all_datasources=True, save_snapshot=file)
    assert info(server, all_datasources=True, snapshot=file)["paths"] == live["paths"]


def test_more_data_sources_than_one_run_takes(server: ApiServer) -> None:
    load(server)
    provision(server, *({**DIRECT, "uid": f"d{number}", "name": f"d{number}"} for number in range(20)))
    assert "21 data sources are more than the 20 of one run" in info(server, all_datasources=True)["msg"]
    assert info(server, all_datasources=True, datasource_uid="x")["failed"] is True


SENTENCES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown namespace": ({"grafana_namespace": "nowhere"}, "Namespace nowhere does not exist."),
    "unknown workload": ({"grafana_name": "none"}, "Deployment monitoring/none does not exist."),
    "unknown data source": ({"datasource_uid": "none"}, "No data source with uid 'none'"),
    "unreachable": ({"host": "http://127.0.0.1:1"}, "Cannot reach http://127.0.0.1:1: Connection refused."),
    "no kubeconfig": ({"host": None, "api_key": None, "kubeconfig": "/no/such/file"}, "The kubeconfig /no/such/file"),
    "no seconds": ({"log_seconds": 0}, "log_seconds must be at least 1"),
    "a workload without namespace": ({"proxies": [{"workload": "x"}]}, "must be written as namespace/name"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_bad_input_is_one_sentence(server: ApiServer, case: str) -> None:
    load(server)
    options, sentence = SENTENCES[case]
    result = info(server, **options)
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert [request for request in server.requests if request.method != "GET"] == []


def test_a_token_without_rights_ends_the_run(server: ApiServer) -> None:
    load(server)
    server.faults.append(lambda _request: Answer(401, status(401, "Unauthorized", "Unauthorized")))
    result = info(server)
    assert result["failed"] is True
    assert "does not accept the credentials (401 Unauthorized)" in result["msg"]


def test_secrets_of_a_kubeconfig_dictionary_are_masked_in_the_invocation(server: ApiServer) -> None:
    load(server)
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    result = info(server, host=None, api_key=None, kubeconfig=config)
    assert result["verdict"]["status"] == "broken"
    assert TOKEN not in json.dumps(result)
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
