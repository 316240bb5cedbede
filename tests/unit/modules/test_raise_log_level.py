# SPDX-License-Identifier: GPL-3.0-or-later
"""query_path_probe with raise_log_level, in a mesh without access logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import NS

from ansible_collections.meshops.istio_remediation.tests.unit._kube import rbac
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import FOUND, Sidecar
from ansible_collections.meshops.istio_remediation.tests.unit.modules.probe_stage import (
    GRAFANA,
    PROMETHEUS,
    PROXY,
    QuietMesh,
    healed,
    probe,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

RAISED = {"before": "router:warning,connection:info", "raised": "router:debug,connection:debug", "put_back": True}


@pytest.fixture
def mesh(server: ApiServer, tmp_path: Path) -> Iterator[QuietMesh]:
    load(server, healed())
    with serving(ApiServer()) as grafana:
        yield QuietMesh(server, grafana, tmp_path)


def test_without_it_the_result_is_inconclusive_and_says_how_to_turn_logs_on(server: ApiServer, mesh: QuietMesh) -> None:
    result = probe(server, requests=2)
    assert (result["failed"], result["result"]) == (True, "inconclusive")
    assert "meshConfig.accessLogFile: /dev/stdout" in result["msg"]
    assert "log_levels" not in result
    assert {sidecar.levels == FOUND and not sidecar.calls for sidecar in mesh.sidecars.values()} == {True}


def test_with_it_the_path_is_proved_and_the_levels_are_as_before(server: ApiServer, mesh: QuietMesh) -> None:
    result = probe(server, raise_log_level=True)
    assert result["result"] == "passed", result
    assert result["changed"] is False
    assert result["log_levels"] == [
        {"pod": f"{NS}/{pod}", **RAISED, "problem": ""} for pod in (GRAFANA, PROXY, PROMETHEUS)
    ]
    assert {pod: sidecar.levels for pod, sidecar in mesh.sidecars.items()} == dict.fromkeys(mesh.sidecars, FOUND)
    assert server.writes() == []
    assert "canary51c9" not in json.dumps(result)


def test_a_failed_probe_puts_them_back_too(server: ApiServer, mesh: QuietMesh) -> None:
    result = probe(server, raise_log_level=True, grafana_token="glsa_wrong0000")
    assert "Invalid API key" in result["msg"]
    assert {sidecar.levels == FOUND and len(sidecar.calls) == 3 for sidecar in mesh.sidecars.values()} == {True}


def test_a_sidecar_that_cannot_be_raised_is_named_and_leaves_its_hop_open(
    server: ApiServer, mesh: QuietMesh, tmp_path: Path
) -> None:
    mesh.sidecars[PROXY] = Sidecar(tmp_path / "distroless", shell=False)
    server.programs[PROXY] = mesh.sidecars[PROXY].environment
    result = probe(server, raise_log_level=True, requests=2)
    assert result["result"] == "inconclusive"
    assert "the log level of its sidecar was not raised" in result["msg"]
    assert 'exec: "sh": not found' in result["msg"]


def test_check_mode_raises_nothing(server: ApiServer, mesh: QuietMesh) -> None:
    result = probe(server, raise_log_level=True, requests=2, check=True)
    assert (result["result"], result["log_levels"]) == ("inconclusive", [])
    assert [sidecar.calls for sidecar in mesh.sidecars.values()] == [[], [], []]


@pytest.mark.parametrize("verb", ["get", "create"])
def test_without_exec_the_right_and_its_file_are_named_before_anything_is_read(
    server: ApiServer, mesh: QuietMesh, verb: str
) -> None:
    other = "create" if verb == "get" else "get"
    server.authorizer.grants = rbac.grants("prober", NS)
    server.authorizer.grants[NS].append({"verbs": [other], "apiGroups": [""], "resources": ["pods/exec"]})
    result = probe(server, raise_log_level=True)
    assert f"in namespace {NS}: {verb} pods/exec (kubectl apply -n {NS} -f exec.yaml)" in result["msg"]
    assert {request.method for request in server.requests} == {"POST"}
    assert mesh.count == 0
