# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import AuthError, UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.live import LiveReader
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer as HttpAnswer
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving, status
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import make_client

CANARY = "c4n4ry-9f27"
QUESTION = Question("monitoring", "grafana", log_seconds=300)


@pytest.fixture
def reader(client: Client) -> LiveReader:
    return LiveReader(client, QUESTION)


def test_get_and_absence(server: ApiServer, reader: LiveReader) -> None:
    server.add("Service", "monitoring", "prometheus", spec={"ports": []})
    assert reader.read(Need("get", "Service", "monitoring", "prometheus")).objects[0]["spec"] == {"ports": []}
    assert reader.read(Need("get", "Service", "monitoring", "none")) == Answer()
    assert reader.read(Need("get", "Namespace", "", "none")) == Answer()


def test_what_nobody_needs_is_left_out(server: ApiServer, reader: LiveReader) -> None:
    container = {
        "name": "proxy",
        "args": ["--upstream=http://u:x@p:9090", "--token", CANARY],
        "env": [{"name": "API_TOKEN", "value": CANARY}],
    }
    pod = server.add(
        "Pod",
        "monitoring",
        "p",
        annotations={"kubectl.kubernetes.io/last-applied-configuration": CANARY, "kept": "1"},
        spec={"containers": [container], "initContainers": [dict(container)]},
    )
    managed = {"manager": "helm", "operation": "Update", "time": "t", "fieldsV1": {"f:spec": {CANARY: {}}}}
    pod["metadata"]["managedFields"] = [managed]
    for need in (Need("get", "Pod", "monitoring", "p"), Need("list", "Pod", "monitoring")):
        [found] = reader.read(need).objects
        assert CANARY not in json.dumps(found)
        assert found["metadata"]["annotations"] == {"kept": "1"}
        assert found["metadata"]["managedFields"] == [{"manager": "helm", "operation": "Update", "time": "t"}]
        assert found["spec"]["containers"][0]["args"] == ["--upstream=http://***@p:9090", "--token", "***"]


def test_arguments_that_a_fix_will_write_are_not_masked(server: ApiServer, reader: LiveReader) -> None:
    container = {"name": "p", "args": [f"--token={CANARY}"], "env": [{"name": "TOKEN", "value": CANARY}]}
    server.add("Deployment", "monitoring", "p", spec={"template": {"spec": {"containers": [container]}}})
    [found] = reader.read(Need("get", "Deployment", "monitoring", "p")).objects
    [read] = found["spec"]["template"]["spec"]["containers"]
    assert read["args"] == [f"--token={CANARY}"]
    assert read["env"] == [{"name": "TOKEN", "value": "***"}]


def test_a_missing_right_is_a_problem_and_no_empty_list(server: ApiServer, reader: LiveReader) -> None:
    server.forbid("GET", "peerauthentications", "istio-system")
    answer = reader.read(Need("list", "PeerAuthentication", "istio-system"))
    assert answer.objects == ()
    assert answer.problem.startswith("Not allowed to list PeerAuthentication in namespace istio-system: ")
    assert not answer.problem.endswith(".")
    assert reader.read(Need("list", "PeerAuthentication", "monitoring")) == Answer()


def test_a_kind_that_is_not_installed(server: ApiServer, reader: LiveReader) -> None:
    server.unserved = {"networking.istio.io/v1", "networking.istio.io/v1beta1"}
    assert reader.read(Need("list", "VirtualService")) == Answer(served=False)


def test_an_owner_is_read_without_what_it_holds(server: ApiServer, reader: LiveReader) -> None:
    copies = dict.fromkeys(("kapp.k14s.io/original", "objectset.rio.cattle.io/applied"), CANARY)
    annotations = {**copies, "meta.helm.sh/release-name": "stack"}
    server.add("Prometheus", "monitoring", "k8s", annotations=annotations, spec={"password": CANARY})
    need = Need("owner", "Prometheus", "monitoring", "k8s", command=("monitoring.coreos.com/v1",))
    [found] = reader.read(need).objects
    assert CANARY not in json.dumps(found)
    assert found["metadata"]["annotations"] == {"meta.helm.sh/release-name": "stack"}
    assert reader.read(need._replace(name="none")) == Answer()
    assert reader.read(need._replace(kind="None")) == Answer(served=False)


def test_an_owner_is_not_asked_for_beyond_the_limit(server: ApiServer, reader: LiveReader) -> None:
    server.add("Prometheus", "monitoring", "k8s")
    need = Need("owner", "Prometheus", "monitoring", "k8s", command=("monitoring.coreos.com/v1",))
    unlisted = need._replace(kind="Thing", command=("example.org/v1",))
    for number in range(24):
        reader.read(Need("get", "Service", "monitoring", f"none-{number}"))
    assert reader.read(unlisted).problem == "a diagnosis makes at most 25 requests, and none is left"
    assert reader.read(need).objects
    assert reader.read(need).problem == "a diagnosis makes at most 25 requests, and none is left"
    assert len(server.requests) == 25


def test_unknown_credentials_end_the_run(server: ApiServer, reader: LiveReader) -> None:
    server.faults.append(lambda _request: HttpAnswer(401, status(401, "Unauthorized", "Unauthorized")))
    with pytest.raises(AuthError):
        reader.read(Need("list", "Pod", "monitoring"))


def test_no_connection_ends_the_run() -> None:
    with serving(ApiServer()) as server:
        reader = LiveReader(make_client(server), QUESTION)
    with pytest.raises(UnreachableError, match="refused"):
        reader.read(Need("list", "Pod", "monitoring"))


def test_one_lost_answer_is_a_problem_the_next_ends_the_run(server: ApiServer, reader: LiveReader) -> None:
    server.faults.append(lambda _request: HttpAnswer(200, {"items": []}, cut=3))
    assert "Cannot reach" in reader.read(Need("list", "Pod", "monitoring")).problem
    with pytest.raises(UnreachableError):
        reader.read(Need("list", "Service", "monitoring"))


def test_mesh_settings_are_decoded(server: ApiServer, reader: LiveReader) -> None:
    server.add(
        "ConfigMap", "istio-system", "istio", data={"mesh": "enableAutoMtls: false\nrootNamespace: istio-system\n"}
    )
    [found] = reader.read(Need("get", "MeshConfig", "istio-system", "istio")).objects
    assert found["mesh"] == {"enableAutoMtls": False, "rootNamespace": "istio-system"}
    assert found["metadata"]["name"] == "istio"
    assert reader.read(Need("get", "MeshConfig", "istio-system", "istio-canary")) == Answer()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1", "it is no YAML: "),
        ("- a", "is no mapping"),
        ("a: &a [x]\nb: [" + "*a," * 30 + "]", "30 YAML aliases"),
    ],
)
def test_broken_mesh_settings_are_a_problem(server: ApiServer, reader: LiveReader, text: str, why: str) -> None:
    server.add("ConfigMap", "istio-system", "istio", data={"mesh": text})
    answer = reader.read(Need("get", "MeshConfig", "istio-system", "istio"))
    assert answer.objects == ()
    assert answer.problem.startswith("key mesh of ConfigMap istio-system/istio")
    assert why in answer.problem


def test_a_file_in_a_config_map_comes_as_text_or_decoded(server: ApiServer, reader: LiveReader) -> None:
    server.add("ConfigMap", "monitoring", "web", data={"c.yaml": f"token: {CANARY}\nurl: http://p\n"})
    [text] = reader.read(Need("get", "ConfigMap", "monitoring", "web")).objects
    [decoded] = reader.read(Need("get", "ConfigDocuments", "monitoring", "web")).objects
    assert text["data"] == {"c.yaml": "token: ***\nurl: http://p\n"}
    assert decoded["documents"] == {"c.yaml": {"token": "***", "url": "http://p"}}
    assert reader.read(Need("get", "ConfigMap", "monitoring", "none")) == Answer()


def provisioning(uid: str, **fields: object) -> str:
    source = {"uid": uid, "name": uid, "type": "prometheus", "url": "http://p:8080", **fields}
    return json.dumps({"apiVersion": 1, "datasources": [source]})


def test_data_sources_come_from_labelled_and_from_mounted_config_maps(server: ApiServer, reader: LiveReader) -> None:
    secret = provisioning("a", jsonData={"customQueryParameters": "namespace=x"}, secureJsonData={"k": CANARY})
    server.add(
        "ConfigMap", "monitoring", "one", labels={"grafana_datasource": "1"}, data={"a.yaml": secret, "b.txt": "["}
    )
    server.add("ConfigMap", "monitoring", "two", data={"b.yml": provisioning("b")})
    server.add("ConfigMap", "monitoring", "three", data={"c.yml": provisioning("c")})
    answer = reader.read(Need("list", "DataSource", "monitoring", "one,two,gone", "grafana_datasource"))
    assert answer.problem == ""
    assert [(entry["uid"], entry["source"]) for entry in answer.objects] == [
        ("a", "ConfigMap/monitoring/one"),
        ("b", "ConfigMap/monitoring/two"),
    ]
    assert answer.objects[0]["jsonData"] == {"customQueryParameters": "namespace=x"}
    assert CANARY not in str(answer)


def test_a_grafana_datasource_keeps_no_secret(server: ApiServer, reader: LiveReader) -> None:
    settings = {"httpHeaderName1": "Host", "sigV4AccessKey": CANARY}
    datasource = {"uid": "a", "url": "http://p", "basicAuthUser": CANARY, "jsonData": settings}
    spec = {"instanceSelector": {}, "datasource": {**datasource, "secureJsonData": {"httpHeaderValue1": CANARY}}}
    server.add("GrafanaDatasource", "monitoring", "a", spec=spec, status={"lastMessage": CANARY})
    [found] = reader.read(Need("list", "GrafanaDatasource", "monitoring")).objects
    kept = {"uid": "a", "url": "http://p", "jsonData": {"httpHeaderName1": "Host"}}
    assert found["spec"] == {"instanceSelector": {}, "datasource": kept}
    assert CANARY not in str(found)
    server.unserved = {"grafana.integreatly.org/v1beta1"}
    assert reader.read(Need("list", "GrafanaDatasource", "monitoring")) == Answer(served=False)


def test_secrets_are_listed_by_label_only_where_that_is_asked_for(server: ApiServer, reader: LiveReader) -> None:
    for name in ("mounted", "labelled"):
        data = {"a.yaml": base64.b64encode(provisioning(name).encode()).decode()}
        server.add("Secret", "monitoring", name, labels={"grafana_datasource": "1"}, data=data)
    need = Need("list", "SecretDataSource", "monitoring", "mounted")
    assert [entry["uid"] for entry in reader.read(need).objects] == ["mounted"]
    assert [request.path.rpartition("/")[2] for request in server.requests] == ["mounted"]
    labelled = reader.read(need._replace(selector="grafana_datasource"))
    assert [entry["source"] for entry in labelled.objects] == [
        "Secret/monitoring/labelled",
        "Secret/monitoring/mounted",
    ]
    server.forbid("GET", "secrets", "monitoring")
    assert reader.read(need).problem.startswith("Not allowed to get Secret monitoring/mounted")


def test_a_broken_provisioning_file_is_a_problem_beside_the_others(server: ApiServer, reader: LiveReader) -> None:
    data = {"a.yaml": provisioning("a"), "z.yaml": "datasources: ["}
    server.add("ConfigMap", "monitoring", "one", labels={"grafana_datasource": ""}, data=data)
    answer = reader.read(Need("list", "DataSource", "monitoring", selector="grafana_datasource"))
    assert [entry["uid"] for entry in answer.objects] == ["a"]
    assert answer.problem.startswith("key z.yaml of ConfigMap monitoring/one: it is no YAML")


def test_log_is_bounded(server: ApiServer, reader: LiveReader) -> None:
    server.logs["monitoring", "p", "istio-proxy"] = "line\n"
    need = Need("log", "Pod", "monitoring", "p", container="istio-proxy")
    assert reader.read(need) == Answer(text="line\n")
    assert server.requests[0].query["sinceSeconds"] == "300"
    assert int(server.requests[0].query["tailLines"]) > 0
    assert int(server.requests[0].query["limitBytes"]) > 0
    gone = reader.read(Need("log", "Pod", "monitoring", "gone", container="istio-proxy"))
    assert gone == Answer(problem="Pod monitoring/gone does not exist")


ENVOY = Need("envoy", "Pod", "monitoring", "p", container="istio-proxy", command=("virtual.*|a b",))
ASKED = ("pilot-agent", "request", "GET", "config_dump?include_eds&name_regex=virtual.%2A%7Ca%20b")


def test_envoy_is_asked_by_name_and_what_it_says_is_reduced(server: ApiServer, reader: LiveReader) -> None:
    secret = {"secret": {"tls_certificate": {"private_key": "s3cret"}}}
    raw = {"configs": [{"dynamic_listeners": [{"name": "virtualInbound"}], "dynamic_active_secrets": [secret]}]}
    server.commands[ASKED] = (json.dumps(raw), "INFO GOMEMLIMIT is already set\n", 0)
    (found,) = reader.read(ENVOY).objects
    assert [entry["name"] for entry in found["listeners"]] == ["virtualInbound"]
    assert "s3cret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (("", "Error: connection refused\n", 1), "could not be read: Error: connection refused"),
        (("", "", 7), "could not be read: command terminated with non-zero exit code: 7"),
        (("<html>", "", 0), "is no JSON"),
        (("[]", "", 0), "is no JSON object"),
    ],
)
def test_an_envoy_that_does_not_answer_is_a_problem(
    server: ApiServer, reader: LiveReader, output: tuple[str, str, int], why: str
) -> None:
    server.commands[ASKED] = output
    assert reader.read(ENVOY).problem == f"Envoy's configuration in Pod monitoring/p {why}"


def test_without_the_right_to_exec_envoy_is_a_problem(server: ApiServer, reader: LiveReader) -> None:
    server.forbid("GET", "exec")
    assert reader.read(ENVOY).problem.startswith("Not allowed to exec Pod monitoring/p: exec is forbidden")


HELP = Need("help", "Pod", "monitoring", "p", container="c", command=("/bin/proxy",))


@pytest.mark.parametrize("code", [0, 2])
def test_usage_is_read_from_both_outputs(server: ApiServer, reader: LiveReader, code: int) -> None:
    server.commands["/bin/proxy", "-help"] = ("out\n", "Usage of /bin/proxy:\n  -upstream string\n", code)
    assert reader.read(HELP) == Answer(text="out\nUsage of /bin/proxy:\n  -upstream string\n")


def test_usage_that_cannot_be_had_is_a_problem(server: ApiServer, reader: LiveReader) -> None:
    server.commands["/bin/proxy", "-help"] = ("", "", 126)
    assert "`/bin/proxy -help` could not be run in Pod monitoring/p" in reader.read(HELP).problem
    server.forbid("GET", "exec")
    assert reader.read(HELP).problem.startswith("Not allowed to exec Pod monitoring/p: exec is forbidden")


GRAFANA = Need("grafana", "", "monitoring", "/api/datasources")


def test_grafana_is_asked_through_a_ready_pod(server: ApiServer, client: Client) -> None:
    server.add("Deployment", "monitoring", "grafana", spec={"selector": {"matchLabels": {"app": "grafana"}}})
    for name, ready in (("g-0", "False"), ("g-1", "True")):
        conditions = [{"type": "Ready", "status": ready}]
        spec = {"containers": [{"name": "grafana", "ports": [{"name": "http", "containerPort": 8300}]}]}
        server.add("Pod", "monitoring", name, labels={"app": "grafana"}, spec=spec, status={"conditions": conditions})
    with serving(ApiServer()) as grafana:
        grafana.faults.append(lambda _request: HttpAnswer(200, [{"uid": "x"}, "odd"]))
        server.forwards["monitoring", "g-1", 8300] = ("127.0.0.1", int(grafana.url.rpartition(":")[2]))
        reader = LiveReader(client, QUESTION, token="glsa_t")
        assert reader.read(GRAFANA) == Answer(({"uid": "x"},))
        assert grafana.requests[0].headers["authorization"] == "Bearer glsa_t"


def test_no_ready_grafana_is_a_problem(server: ApiServer, reader: LiveReader) -> None:
    server.add("Deployment", "monitoring", "grafana", spec={"selector": {"matchLabels": {"app": "grafana"}}})
    assert reader.read(GRAFANA).problem == "No pod of Deployment monitoring/grafana is ready to be asked"
