# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stage computes: worlds from manifests and edits, answers against expectations, states against each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from meshlab.errors import LabError
from stage import crowd, query, state
from stage.scenario import edit, lay

SERVICE = {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}, {"port": 2}]}}


def service(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def edited(pointer: str, value: Any) -> dict[str, Any]:
    [result] = edit([SERVICE], [{"object": "Service/a", "set": {pointer: value}}])
    return result


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
