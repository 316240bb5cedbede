# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own client, its manifests and its checks."""

from __future__ import annotations

from typing import Any

import pytest
from meshlab import health, manifests, namespaces
from meshlab.api import Api, ApiError, complaint, group_path
from meshlab.errors import LabError
from meshlab.settings import DNS_SERVICE_IP, LAB, NODE_IP, Folders

RESOURCES = {
    "/api/v1": [
        {"kind": "Namespace", "name": "namespaces", "namespaced": False},
        {"kind": "Pod", "name": "pods", "namespaced": True},
        {"kind": "PodProxyOptions", "name": "pods/proxy", "namespaced": True},
    ],
    "/apis/networking.istio.io/v1": [{"kind": "Gateway", "name": "gateways", "namespaced": True}],
}


class AnsweringApi(Api):
    """A client whose server gives prepared answers; a status stands for an error."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.plurals = {}

    def request(self, method: str, path: str, *_body: Any) -> Any:
        answer = self.answers[path]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, int):
            raise ApiError(method, path, answer, "prepared")
        return answer


@pytest.fixture
def api() -> AnsweringApi:
    return AnsweringApi({path: {"resources": resources} for path, resources in RESOURCES.items()})


@pytest.mark.parametrize(
    ("version", "kind", "namespace", "path"),
    [
        ("v1", "Pod", "a", "/api/v1/namespaces/a/pods/x"),
        ("v1", "Pod", None, "/api/v1/namespaces/default/pods/x"),
        ("v1", "Namespace", None, "/api/v1/namespaces/x"),
        ("networking.istio.io/v1", "Gateway", "a", "/apis/networking.istio.io/v1/namespaces/a/gateways/x"),
    ],
)
def test_paths(api: AnsweringApi, version: str, kind: str, namespace: str | None, path: str) -> None:
    metadata = {"name": "x", **({"namespace": namespace} if namespace else {})}
    assert api.path({"apiVersion": version, "kind": kind, "metadata": metadata}) == path


def test_an_unknown_kind_is_named(api: AnsweringApi) -> None:
    with pytest.raises(LabError, match="knows no Pot in v1"):
        api.path({"apiVersion": "v1", "kind": "Pot", "metadata": {"name": "x"}})


def test_absent_and_unknown_are_different() -> None:
    api = AnsweringApi({"/absent": 404, "/forbidden": 403, "/there": {"a": 1}})
    assert api.get_or_none("/absent") is None
    assert api.get_or_none("/there") == {"a": 1}
    with pytest.raises(ApiError) as refused:
        api.exists("/forbidden")
    assert refused.value.status == 403


def test_without_a_lab_there_is_no_client(lab_folders: Folders) -> None:
    with pytest.raises(LabError, match="There is no lab on this machine"):
        Api(lab_folders)


@pytest.mark.parametrize(
    ("answer", "text"),
    [(b'{"message": "no\\n such"}', "no such"), (b"plain", "plain"), (b"[1]", "[1]"), (b"x" * 999, "x" * 300)],
)
def test_complaints_are_one_line(answer: bytes, text: str) -> None:
    assert complaint(answer) == text


def test_group_path() -> None:
    assert (group_path("v1"), group_path("apps/v1")) == ("/api/v1", "/apis/apps/v1")


def test_namespaces_and_definitions_come_first() -> None:
    kinds = ["ConfigMap", "CustomResourceDefinition", "Role", "Namespace"]
    early, late = manifests.split({"kind": kind} for kind in kinds)
    assert [m["kind"] for m in early] == ["CustomResourceDefinition", "Namespace"]
    assert [m["kind"] for m in late] == ["ConfigMap", "Role"]


def test_empty_documents_do_not_count() -> None:
    assert manifests.parse("---\n# nothing\n---\na: 1\n---\n") == [{"a": 1}]


def test_a_list_is_its_items() -> None:
    text = "kind: List\nitems:\n  - {kind: Pod}\n  - {kind: Service}\n---\nkind: Job\n"
    assert [m["kind"] for m in manifests.parse(text)] == ["Pod", "Service", "Job"]


def test_cluster_dns_is_where_the_agent_says() -> None:
    found = {m["kind"]: m for m in manifests.read(LAB / "manifests" / "system")}
    assert found["Service"]["spec"]["clusterIP"] == DNS_SERVICE_IP
    assert found["EndpointSlice"]["endpoints"][0]["addresses"] == [NODE_IP]


def test_clean_waits_until_the_namespace_is_gone() -> None:
    answers = [{}, {}, {"status": {}}, 404]
    api = AnsweringApi({"/api/v1/namespaces/x": answers})
    namespaces.clean(api, "x")
    assert answers == [404]


def test_clean_says_what_holds_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = [{"status": "True", "message": "a finalizer"}, {"status": "False", "message": "all well"}]
    api = AnsweringApi({"/api/v1/namespaces/x": {"status": {"conditions": conditions}}})
    monkeypatch.setattr(namespaces, "PATIENCE", 0.01)
    with pytest.raises(LabError, match=r"the end of namespace x did not happen .*: a finalizer$"):
        namespaces.clean(api, "x")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (404, "the node has not registered yet"),
        ({"spec": {}, "status": {}}, "the node is not Ready"),
        ({"spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, ""),
        (
            {"spec": {"taints": [{"key": "t"}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            "the node is tainted: t",
        ),
    ],
)
def test_node_check(answer: Any, problem: str) -> None:
    assert health.node(AnsweringApi({"/api/v1/nodes/meshlab": answer})) == problem


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"containers": [{"name": "probe"}]}, "the webhook adds no sidecar"),
        ({"containers": [], "initContainers": [{"name": "istio-proxy"}]}, ""),
    ],
)
def test_injection_check(spec: dict[str, Any], problem: str) -> None:
    api = AnsweringApi({"/api/v1/namespaces/default/pods?dryRun=All": {"spec": spec}})
    assert health.injection(api) == problem


def test_dns_query_is_on_the_wire_as_rfc_1035_says() -> None:
    query = health.dns_query("a.bc")
    assert query == b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + b"\x01a\x02bc\x00" + b"\x00\x01\x00\x01"
