# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stage computes: worlds from manifests and edits, answers against expectations, states against each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from meshlab.errors import LabError
from stage import crowd, place, query, scenario, state, world
from stage.scenario import edit, lay

SERVICE = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}, {"port": 2}]}}


def service(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def edited(pointer: str, value: Any) -> dict[str, Any]:
    [result] = edit([SERVICE], [{"object": "Service/a", "set": {pointer: value}}])
    return result


def in_namespace(namespace: str, code: str) -> Any:
    """What an expression of ``scenario`` is on a stage in a namespace of its own."""
    program = f"import json; from stage import scenario; print(json.dumps({code}))"
    environment = {**os.environ, place.VARIABLE: namespace, "PYTHONPATH": os.pathsep.join(sys.path)}
    return json.loads(subprocess.check_output([sys.executable, "-c", program], env=environment))


def test_a_world_can_be_played_in_another_namespace_whole() -> None:
    objects, expected = in_namespace("elsewhere", "[scenario.load('baseline').objects, scenario.read('baseline')]")
    assert {obj["metadata"].get("namespace", obj["metadata"]["name"]) for obj in objects} == {"elsewhere"}
    assert place.WRITTEN_FOR not in json.dumps([objects, expected])


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("baseline", False),
        ("catalogue/alias", False),
        # The mesh's settings, an object of another namespace, a host that is of no namespace.
        ("registry_only", True),
        ("catalogue/qp603_envoy_filter", True),
        ("catalogue/public_name_routed", True),
        ("catalogue/qp109_pod_address", True),
    ],
)
def test_a_world_that_reaches_beyond_its_namespace_is_played_alone(name: str, alone: bool) -> None:
    assert scenario.alone(name) == alone


def test_an_object_takes_the_place_of_its_namesake() -> None:
    other = {"kind": "ConfigMap", "metadata": {"name": "a"}}
    assert lay([service(x=1), other], [service(x=2)]) == [service(x=2), other]


@pytest.mark.parametrize(
    ("pointer", "value", "spec"),
    [
        ("/spec/ports/1/appProtocol", "tcp", {"ports": [{"port": 1}, {"port": 2, "appProtocol": "tcp"}]}),
        ("/spec/ports/0", {"port": 3}, {"ports": [{"port": 3}, {"port": 2}]}),
        ("/spec/ports/-", {"port": 3}, {"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}),
        ("/spec/ports", None, {}),
        ("/spec/deep/er", 1, {"ports": [{"port": 1}, {"port": 2}], "deep": {"er": 1}}),
    ],
)
def test_edit(pointer: str, value: Any, spec: dict[str, Any]) -> None:
    assert edited(pointer, value)["spec"] == spec
    assert SERVICE["spec"] == {"ports": [{"port": 1}, {"port": 2}]}, "the manifest itself is left alone"


def test_edit_of_a_key_with_a_slash() -> None:
    assert edited("/metadata/annotations/a.io~1b", "c")["metadata"]["annotations"] == {"a.io/b": "c"}


@pytest.mark.parametrize("pointer", ["/spec/ports/2/name", "/spec/ports/x", "/kind/x/y"])
def test_edit_of_what_is_not_there_is_refused(pointer: str) -> None:
    with pytest.raises(LabError, match="Service/a has nothing at"):
        edited(pointer, 1)


def test_edit_of_an_unknown_object_is_refused() -> None:
    with pytest.raises(LabError, match="no Service/b to edit"):
        edit([SERVICE], [{"object": "Service/b", "set": {}}])


def answer(*tenants: str) -> str:
    result = [{"metric": {"namespace": tenant}, "value": [1, "1"]} for tenant in tenants]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


@pytest.mark.parametrize(
    ("body", "found"),
    [(answer("x", "secret"), ("secret", "x")), (answer(), ()), ("upstream connect error", ()), ("[]", ()), ("", ())],
)
def test_tenants_of_an_answer(body: str, found: tuple[str, ...]) -> None:
    assert query.tenants(body) == found


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({"status": 200, "tenants": ["x"]}, []),
        ({"status": 503}, ["status 200 in place of 503"]),
        ({"body": "terminated"}, ["no 'terminated' in the body"]),
        ({"tenants": ["secret", "x"]}, ["series of tenants ['x'] in place of ['secret', 'x']"]),
    ],
)
def test_disagreements_with_an_answer(expected: dict[str, Any], wrong: list[str]) -> None:
    assert query.disagreements(expected, query.Reply(200, answer("x"), ("x",))) == wrong


def deployment(**meta: Any) -> dict[str, Any]:
    template = {"metadata": {"annotations": meta.pop("template", {})}, "spec": {"containers": []}}
    return {"kind": "Deployment", "metadata": {"name": "d", **meta}, "spec": {"template": template}, "status": {"x": 1}}


@pytest.mark.parametrize(
    "other",
    [
        deployment(resourceVersion="2", generation=3),
        deployment(annotations={"deployment.kubernetes.io/revision": "7"}),
        deployment(template={"meshlab/restarted": "123"}),
        {**deployment(), "status": {"x": 2}},
    ],
)
def test_what_the_cluster_writes_is_no_change(other: dict[str, Any]) -> None:
    assert state.content(other) == state.content(deployment())


@pytest.mark.parametrize(
    "other",
    [
        deployment(labels={"a": "b"}),
        deployment(annotations={"a": "b"}),
        deployment(template={"a": "b"}),
        {**deployment(), "spec": {"replicas": 2}},
        {**deployment(), "data": {"a": "b"}},
    ],
)
def test_what_somebody_writes_is_a_change(other: dict[str, Any]) -> None:
    assert state.content(other) != state.content(deployment())


def test_differences_name_every_object() -> None:
    before = {"Service/a": "1", "Service/b": "1", "Service/c": "1"}
    after = {"Service/a": "1", "Service/b": "2", "Service/d": "1"}
    assert state.differences(before, after) == ["Service/b has changed", "Service/c is gone", "Service/d is new"]


def test_journals_count_only_in_a_strict_comparison() -> None:
    journal = {"kind": "ConfigMap", "metadata": {"name": "j", "labels": {state.JOURNAL: "true"}}}
    after = {state.key("ConfigMap", journal): "1"}
    assert state.differences({}, after) == []
    assert state.differences({}, after, strict=True) == ["ConfigMap/j (journal) is new"]


def test_crowd_stands_beside_the_path() -> None:
    found = list(crowd.objects(2))
    assert [entry["kind"] for entry in found] == ["Service", "VirtualService"] * 2
    assert {port["port"] for entry in found if entry["kind"] == "Service" for port in entry["spec"]["ports"]} == {
        7000,
        7001,
    }


def deployed(name: str, generation: int = 1, **status: int) -> dict[str, Any]:
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1, **status}
    return {"metadata": {"name": name, "generation": generation}, "spec": {"replicas": 1}, "status": counts}


def of_deployment(name: str, restarts: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": f"{name}-1-2"}, "status": {"containerStatuses": [{"restartCount": restarts}]}}


class Cluster:
    """Answers the two lists that the stage waits on; the second namespace is empty."""

    def __init__(self, deployments: list[dict[str, Any]], pods: list[dict[str, Any]]) -> None:
        self.lists = {"deployments": deployments, "pods": pods}

    def get(self, path: str) -> dict[str, Any]:
        _start, _slash, kind = path.rpartition("/")
        return {"items": self.lists[kind] if f"/{world.NAMESPACE}/" in path else []}


@pytest.mark.parametrize(
    ("deployment", "pods", "failing", "complaints"),
    [
        (deployed("a"), 1, (), []),
        (deployed("a", generation=2), 1, (), ["Deployment a has not rolled out"]),
        (deployed("a", availableReplicas=0), 1, (), ["Deployment a has not rolled out"]),
        (deployed("a"), 2, (), ["2 pods are there, 1 are wanted"]),
        (deployed("a", availableReplicas=0), 1, ("a",), ["no pod of a has ended"]),
        (deployed("a"), 1, ("a",), ["Deployment a has not rolled out", "no pod of a has ended"]),
    ],
)
def test_what_the_stage_waits_for(
    deployment: dict[str, Any], pods: int, failing: tuple[str, ...], complaints: list[str]
) -> None:
    cluster = Cluster([deployment], [of_deployment("a")] * pods)
    assert world.unready(cluster, failing) == complaints


def test_a_pod_that_ended_by_itself_is_enough() -> None:
    cluster = Cluster([deployed("a", availableReplicas=0)], [of_deployment("a", restarts=1)])
    assert world.unready(cluster, ["a"]) == []


def test_a_world_of_a_group_is_one_file() -> None:
    late = scenario.load("catalogue/qp901_sidecar_declares_tcp_late")
    assert [manifest["kind"] for manifest in late.late] == ["Sidecar"]
    assert late.answer == {"status": 503}, "what is proven before anything comes late"
    assert all(manifest["kind"] != "Sidecar" for manifest in late.objects)


def test_late_edits_write_what_they_name_alone() -> None:
    [changed] = scenario.load("catalogue/qp101_http_late").late
    assert changed["spec"]["ports"][0]["appProtocol"] == "http"


def test_objects_in_the_data_are_laid_over_the_stack() -> None:
    loaded = scenario.load("catalogue/mutual").objects
    assert [manifest["kind"] for manifest in loaded if manifest["kind"] == "DestinationRule"] == ["DestinationRule"]


def test_an_unknown_scenario_is_named() -> None:
    with pytest.raises(LabError, match="There is no scenario catalogue/nothing"):
        scenario.load("catalogue/nothing")
