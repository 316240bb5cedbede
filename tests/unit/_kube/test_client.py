# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    AuthError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    NotServedError,
    UnreachableError,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, status
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import TOKEN, make_client


def test_get_returns_the_object_as_stored(server: ApiServer, client: Client) -> None:
    stored = server.add("Service", "monitoring", "prometheus", spec={"ports": [{"port": 9090}], "unknown": {"kept": 1}})
    assert client.get("Service", "monitoring", "prometheus") == stored
    assert server.requests[0].path == "/api/v1/namespaces/monitoring/services/prometheus"
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_absent_object_is_told_from_absent_kind(server: ApiServer, client: Client) -> None:
    with pytest.raises(NotFoundError, match=r"^Service monitoring/none does not exist\.$"):
        client.get("Service", "monitoring", "none")
    server.unserved = {"security.istio.io/v1", "security.istio.io/v1beta1"}
    with pytest.raises(NotServedError, match=r"^The API server does not serve PeerAuthentication;"):
        client.list("PeerAuthentication", "monitoring")
    assert exists(client, "Service", "monitoring", "none") is None


def test_metadata_of_a_kind_of_our_table_takes_one_request(server: ApiServer, client: Client) -> None:
    stored = server.add("Prometheus", "monitoring", "k8s", spec={"password": "x"})
    found = client.metadata("monitoring.coreos.com/v1", "Prometheus", "monitoring", "k8s")
    assert found == {key: stored[key] for key in ("apiVersion", "kind", "metadata")}
    assert len(server.requests) == 1
    with pytest.raises(NotFoundError):
        client.metadata("monitoring.coreos.com/v1", "Prometheus", "monitoring", "none")
    server.unserved = {"monitoring.coreos.com/v1"}
    with pytest.raises(NotServedError):
        client.metadata("monitoring.coreos.com/v1", "Prometheus", "monitoring", "k8s")


def test_metadata_of_another_kind_is_found_by_the_servers_own_list(server: ApiServer, client: Client) -> None:
    """A kind that is one of no namespace too; the list is read once."""
    kinds = [
        {"name": "things", "kind": "Thing", "namespaced": True},
        {"name": "things/status", "kind": "Thing", "namespaced": True},
        {"name": "wholes", "kind": "Whole", "namespaced": False},
    ]
    answers = {
        "/apis/example.org/v1": {"resources": kinds},
        "/apis/example.org/v1/namespaces/monitoring/things/a": {"metadata": {"uid": "1"}, "spec": {"password": "x"}},
        "/apis/example.org/v1/wholes/b": {"metadata": {"uid": "2"}},
    }
    server.faults.append(lambda request: Answer(200, answers[request.path]) if request.path in answers else None)
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"uid": "1"}}
    assert client.metadata("example.org/v1", "Thing", "monitoring", "a") == thing
    assert client.metadata("example.org/v1", "Whole", "monitoring", "b")["metadata"] == {"uid": "2"}
    assert [request.path for request in server.requests] == list(answers)
    for kind, api_version in (("Other", "example.org/v1"), ("Thing", "example.net/v1")):
        with pytest.raises(NotServedError):
            client.metadata(api_version, kind, "monitoring", "a")


def test_older_istio_is_asked_in_v1beta1_and_remembered(server: ApiServer, client: Client) -> None:
    server.unserved = {"security.istio.io/v1"}
    server.add("PeerAuthentication", "monitoring", "default", spec={"mtls": {"mode": "STRICT"}})
    assert len(client.list("PeerAuthentication", "monitoring")) == 1
    assert client.get("PeerAuthentication", "monitoring", "default")["spec"] == {"mtls": {"mode": "STRICT"}}
    versions = [request.path.split("/")[3] for request in server.requests]
    assert versions == ["v1", "v1beta1", "v1beta1"]


def test_list_follows_pages_selects_and_names_kinds(server: ApiServer, client: Client) -> None:
    for number in range(7):
        server.add("Pod", "monitoring", f"pod-{number}", labels={"app": "x"})
    server.add("Pod", "monitoring", "other", labels={"app": "y"})
    server.add("Pod", "default", "elsewhere", labels={"app": "x"})
    found = client.list("Pod", "monitoring", "app=x", page=3)
    assert [item["metadata"]["name"] for item in found] == [f"pod-{number}" for number in range(7)]
    assert {(item["kind"], item["apiVersion"]) for item in found} == {("Pod", "v1")}
    assert [request.query.get("continue") for request in server.requests] == [None, "3", "6"]
    assert client.requests == 3
    assert client.bytes > 7 * 20


def test_list_begins_again_when_the_token_expires(server: ApiServer, client: Client) -> None:
    for number in range(4):
        server.add("Pod", "monitoring", f"pod-{number}")
    expired = Answer(410, status(410, "Expired", "The provided continue parameter is too old"))
    server.faults.append(lambda request: expired if request.query.get("continue") else None)
    names = [item["metadata"]["name"] for item in client.list("Pod", "monitoring", page=3)]
    assert names == [f"pod-{number}" for number in range(4)]
    assert [request.query.get("limit") for request in server.requests] == ["3", "3", "3", "3", None]


def test_list_is_never_partial(server: ApiServer, client: Client) -> None:
    for number in range(4):
        server.add("Pod", "monitoring", f"pod-{number}")
    refused = Answer(403, status(403, "Forbidden", "no more"))
    server.faults.append(lambda request: refused if request.query.get("continue") else None)
    with pytest.raises(ForbiddenError):
        client.list("Pod", "monitoring", page=3)


def test_keep_sees_each_item_once(server: ApiServer, client: Client) -> None:
    server.add("Pod", "monitoring", "a", spec={"big": "x" * 1000})
    assert client.list("Pod", "", keep=lambda item: {"name": item["metadata"]["name"]}) == [{"name": "a"}]
    assert server.requests[0].path == "/api/v1/pods"


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_reads_are_tried_again(server: ApiServer, client: Client, code: int) -> None:
    server.add("Service", "a", "b")
    server.once(Answer(code, b"try later"))
    assert client.get("Service", "a", "b")["kind"] == "Service"
    assert client.requests == 2


def test_a_body_cut_short_is_read_again(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={"x": "y" * 500})
    server.once(Answer(200, {"items": ["z" * 400]}, cut=100))
    assert client.get("Service", "a", "b")["spec"] == {"x": "y" * 500}


def test_retry_after_is_honoured(server: ApiServer, client: Client) -> None:
    waits: list[float] = []
    client.transport.sleep = waits.append
    server.add("Service", "a", "b")
    server.once(Answer(429, b"", (("Retry-After", "3"),)))
    client.get("Service", "a", "b")
    assert waits == [3.0]


def test_a_wait_beyond_the_deadline_is_not_begun(server: ApiServer, client: Client) -> None:
    waits: list[float] = []
    client.transport.sleep = waits.append
    server.once(Answer(429, status(429, "TooManyRequests", "slow down"), (("Retry-After", "3600"),)))
    with pytest.raises(ApiError, match=r"429 slow down"):
        client.get("Service", "a", "b")
    assert waits == []


def test_lasting_failure_ends_with_the_servers_words(server: ApiServer, client: Client) -> None:
    server.faults.append(lambda _request: Answer(503, status(503, "ServiceUnavailable", "etcd is down.")))
    with pytest.raises(ApiError, match=r"^The API server refused to list Pod in namespace a: 503 etcd is down\.$"):
        client.list("Pod", "a")
    assert client.requests == 5


def test_unknown_credentials_name_the_host(server: ApiServer, client: Client) -> None:
    server.faults.append(lambda _request: Answer(401, status(401, "Unauthorized", "Unauthorized")))
    with pytest.raises(
        AuthError, match=r"does not accept the credentials \(401 Unauthorized\)\. Check api_key"
    ) as error:
        client.list("Pod", "a")
    assert server.url in str(error.value)
    assert TOKEN not in str(error.value)


def test_missing_right_is_one_sentence(server: ApiServer, client: Client) -> None:
    server.forbid("GET", "pods")
    with pytest.raises(
        ForbiddenError, match=r"^Not allowed to list Pod in namespace a: pods is forbidden: User .*; grant this right"
    ):
        client.list("Pod", "a")


@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "gate.example.com" denied the request: not today',
        "services \"b\" is forbidden: ValidatingAdmissionPolicy 'gate' with binding 'gate' denied request: not today",
    ],
)
def test_who_is_refused_by_admission_is_not_told_to_get_a_right(
    server: ApiServer, client: Client, message: str
) -> None:
    server.faults.append(lambda _request: Answer(403, status(403, "Forbidden", message)))
    with pytest.raises(ForbiddenError) as error:
        client.delete("Service", "a", "b")
    assert str(error.value) == f"The API server refused to delete Service a/b: 403 {message}."


def test_an_answer_that_is_no_api(server: ApiServer, client: Client) -> None:
    server.faults.append(lambda _request: Answer(200, b"<html>login</html>"))
    with pytest.raises(UnreachableError, match="its answer is no JSON; is this the URL of an API server"):
        client.get("Service", "a", "b")


def test_log_sends_its_limits_and_decodes_any_bytes(server: ApiServer, client: Client) -> None:
    server.logs["a", "p", "istio-proxy"] = "one\ntwo\nthree\n"
    assert client.log("a", "p", "istio-proxy", tail_lines=2, since_seconds=60, limit_bytes=1000) == "two\nthree\n"
    assert server.requests[0].query == {
        "container": "istio-proxy",
        "tailLines": "2",
        "sinceSeconds": "60",
        "limitBytes": "1000",
    }
    server.once(Answer(200, b"\xff\xfe ok"))
    assert client.log("a", "p", "istio-proxy").endswith(" ok")


def test_writes_carry_the_field_manager_and_are_strict(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={"ports": [{"port": 1, "name": "http-web"}]})
    operations = [
        {"op": "test", "path": "/spec/ports/0/name", "value": "http-web"},
        {"op": "add", "path": "/spec/ports/0/appProtocol", "value": "tcp"},
    ]
    dry = client.patch("Service", "a", "b", operations, dry_run=True)
    assert dry["spec"]["ports"][0]["appProtocol"] == "tcp"
    assert "appProtocol" not in server.stored("Service", "a", "b")["spec"]["ports"][0]
    assert server.writes() == []
    client.patch("Service", "a", "b", operations)
    assert server.stored("Service", "a", "b")["spec"]["ports"][0]["appProtocol"] == "tcp"
    [write] = server.writes()
    assert write.headers["content-type"] == "application/json-patch+json"
    assert write.query == {"fieldManager": "meshops.istio_remediation", "fieldValidation": "Strict"}
    assert write.body == operations


def test_a_test_that_does_not_hold_is_invalid(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={"x": 1})
    with pytest.raises(InvalidError, match=r"refused to patch Service a/b: 422 .*test failed"):
        client.patch("Service", "a", "b", [{"op": "test", "path": "/spec/x", "value": 2}])


def test_create_and_delete_with_precondition(client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": "j"}, "data": {"k": "v"}}
    made = client.create("ConfigMap", body)
    with pytest.raises(ConflictError, match="already exists"):
        client.create("ConfigMap", body)
    with pytest.raises(ConflictError, match="UID in precondition"):
        client.delete("ConfigMap", "a", "j", uid="another")
    client.delete("ConfigMap", "a", "j", uid=made["metadata"]["uid"], dry_run=True)
    assert exists(client, "ConfigMap", "a", "j") is not None
    client.delete("ConfigMap", "a", "j", uid=made["metadata"]["uid"])
    assert exists(client, "ConfigMap", "a", "j") is None


def test_a_write_uses_the_version_that_was_read(server: ApiServer, client: Client) -> None:
    server.unserved = {"networking.istio.io/v1"}
    server.add("VirtualService", "a", "b", spec={})
    client.list("VirtualService")
    client.patch("VirtualService", "a", "b", [{"op": "add", "path": "/spec/hosts", "value": []}])
    client.patch("VirtualService", "a", "b", [], api_version="networking.istio.io/v1beta1")
    assert [r.path.split("/")[3] for r in server.requests] == ["v1", "v1beta1", "v1beta1", "v1beta1"]


def test_warnings_are_collected_once(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={})
    header = ("Warning", '299 - "spec.x is \\"old\\""')
    for _time in range(2):
        server.once(Answer(200, server.stored("Service", "a", "b"), (header, ("Warning", '299 - "two"'))), "PATCH")
        client.patch("Service", "a", "b", [])
    assert client.warnings == ['spec.x is "old"', "two"]


@pytest.mark.parametrize("code", [500, 503, 504])
def test_a_write_is_not_repeated(server: ApiServer, client: Client, code: int) -> None:
    server.add("Service", "a", "b", spec={})
    server.once(Answer(code, b"who knows"), "PATCH")
    with pytest.raises(ApiError, match=f"{code} who knows"):
        client.patch("Service", "a", "b", [])
    assert client.requests == 1


def test_a_write_that_was_turned_away_is_repeated(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={})
    server.once(Answer(429, b"", (("Retry-After", "0"),)), "PATCH")
    client.patch("Service", "a", "b", [])
    assert client.requests == 2


def test_a_dry_run_is_repeated(server: ApiServer, client: Client) -> None:
    server.add("Service", "a", "b", spec={})
    server.once(Answer(503, b""), "PATCH")
    client.patch("Service", "a", "b", [], dry_run=True)
    assert client.requests == 2


def test_impersonation_reaches_the_api_server(server: ApiServer) -> None:
    client = make_client(server, impersonate_user="jane", impersonate_groups=["sre", "dev"])
    client.list("Pod", "a")
    sent = [value for name, value in server.requests[0].all_headers if name == "impersonate-group"]
    assert server.requests[0].headers["impersonate-user"] == "jane"
    assert sent == ["sre", "dev"]


def test_bodies_are_json(server: ApiServer, client: Client) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": "j"}, "data": {"k": "é\n"}}
    client.create("ConfigMap", body)
    assert client.get("ConfigMap", "a", "j")["data"] == {"k": "é\n"}
    assert json.dumps(server.writes()[0].body) == json.dumps(body)
