# SPDX-License-Identifier: GPL-3.0-or-later
"""Where data sources are found: each place, what it costs to look there, and what is said where it cannot be read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from world import NS, PROXY_HOST, World, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import datasources, discovery
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import DataSource
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    NotReadError,
)

URL = f"http://{PROXY_HOST}:8080"
SOURCE = {"uid": "tenant-x", "name": "Tenant x", "type": "prometheus", "url": URL}
PROVISIONED = {**SOURCE, "source": f"ConfigMap/{NS}/grafana-datasources"}
ANY, BY_UID = Question(NS, "grafana"), Question(NS, "grafana", datasource_uid="tenant-x")
WITH_SECRETS = ANY._replace(read_secrets=True)
CANARY = "c4n4ry-9f27"
LABELS = {"dashboards": "grafana"}


def found(world: World, question: Question = ANY) -> DataSource:
    return world.diagnose(question).path.datasource


def refusal(world: World, question: Question = ANY) -> str:
    with pytest.raises(InputError) as caught:
        world.diagnose(question)
    return str(caught.value)


def kinds_asked(world: World) -> list[str]:
    return [need.kind for need in world.asked]


def custom(name: str, selector: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A GrafanaDatasource for the Grafana of `operated`."""
    datasource = {**SOURCE, "uid": name, **spec.pop("datasource", {})}
    body = {"datasource": datasource, "instanceSelector": selector or {"matchLabels": LABELS}, **spec}
    return obj("GrafanaDatasource", name, body, "grafana.integreatly.org/v1beta1")


def operated(world: World, *sources: dict[str, Any]) -> World:
    """Grafana as grafana-operator runs it."""
    owner = {"apiVersion": "grafana.integreatly.org/v1beta1", "kind": "Grafana", "name": "main", "controller": True}
    world.get("Deployment", "grafana")["metadata"]["ownerReferences"] = [owner]
    return world.add(obj("Grafana", "main", {}, "grafana.integreatly.org/v1beta1", labels=LABELS), *sources)


def test_a_grafana_datasource_is_found_where_the_operator_runs_grafana() -> None:
    source = found(operated(World(), custom("tenant-x")))
    assert (source.uid, source.url) == ("tenant-x", URL)
    assert source.source == f"GrafanaDatasource/{NS}/tenant-x"


def test_the_uid_is_that_of_the_spec_before_the_older_field_and_the_object_itself() -> None:
    assert found(operated(World(), custom("old", uid="new"))).uid == "new"
    bare = custom("bare")
    del bare["spec"]["datasource"]["uid"]
    assert found(operated(World(), bare)).uid == bare["metadata"]["uid"]


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ({"matchLabels": LABELS}, True),
        ({"matchLabels": {"dashboards": "other"}}, False),
        ({"matchExpressions": [{"key": "dashboards", "operator": "In", "values": ["grafana", "x"]}]}, True),
        ({"matchExpressions": [{"key": "dashboards", "operator": "NotIn", "values": ["grafana"]}]}, False),
        ({"matchExpressions": [{"key": "dashboards", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, False),
    ],
)
def test_only_what_selects_this_grafana_counts(selector: dict[str, Any], taken: bool) -> None:
    world = operated(World(), custom("tenant-x", selector))
    if taken:
        assert found(world).uid == "tenant-x"
    else:
        assert "nor in the GrafanaDatasources there" in refusal(world)


def test_where_the_operator_runs_grafana_its_resources_stand_beside_config_maps() -> None:
    world = operated(World(), custom("tenant-y"))
    world.datasources = [PROVISIONED]
    message = refusal(world)
    assert "2 Prometheus data sources" in message
    assert "tenant-x" in message
    assert "tenant-y" in message
    assert found(world, BY_UID).uid == "tenant-x"


def test_a_place_that_is_not_needed_is_not_asked() -> None:
    world = World()
    world.datasources = [PROVISIONED]
    found(world)
    assert not {"GrafanaDatasource", "Grafana", "SecretDataSource"} & set(kinds_asked(world))


def test_without_the_operator_a_resource_is_taken_by_its_uid_alone() -> None:
    world = World().add(custom("tenant-x"))
    assert found(world, BY_UID).url == URL
    assert "grafana-operator does not run this Grafana. Choose one with datasource_uid." in refusal(world)


def test_an_operator_that_is_not_installed_is_said_so() -> None:
    world = World()
    world.unserved = {"GrafanaDatasource"}
    assert "nor in the GrafanaDatasources there (not installed)" in refusal(world, BY_UID)


def test_resources_that_may_not_be_read_leave_the_answer_open() -> None:
    world = operated(World(), custom("tenant-x"))
    world.datasources = [PROVISIONED]
    world.refused["GrafanaDatasource"] = "403 Forbidden: cannot list grafanadatasources"
    assert "whether it is the only one cannot be told: 403 Forbidden" in refusal(world)
    assert found(world, BY_UID).uid == "tenant-x"
    world.refused = {"Grafana": "403 Forbidden: cannot get grafanas"}
    world.datasources = []
    assert "which GrafanaDatasources are for this Grafana cannot be told: 403" in refusal(world)


def test_a_url_that_comes_from_a_secret_is_unknown() -> None:
    secret = {"targetPath": "url", "valueFrom": {"secretKeyRef": {"name": "s", "key": "host"}}}
    world = operated(World(), custom("tenant-x", datasource={"url": "http://${host}:9090"}, valuesFrom=[secret]))
    assert "fills in 'http://${host}:9090' from a Secret or ConfigMap (valuesFrom). Give datasource_url" in refusal(
        world
    )


def provisioned(world: World, labels: dict[str, str] | None = None) -> World:
    """A Secret as kube-prometheus writes it, not yet mounted."""
    settings = {"httpHeaderName1": "host", "httpHeaderName2": "X-Org", "customQueryParameters": f"key={CANARY}"}
    entry = {
        **SOURCE,
        "url": URL.replace("://", f"://user:{CANARY}@") + f"?key={CANARY}",
        "basicAuthPassword": CANARY,
        "jsonData": {**settings, "token": CANARY},
        "secureJsonData": {"httpHeaderValue1": CANARY},
    }
    data = {"datasources.yaml": base64.b64encode(json.dumps({"datasources": [entry]}).encode()).decode()}
    return world.add({**obj("Secret", "grafana-datasources", {}, labels=labels or {}), "data": data})


def mounted(world: World) -> World:
    body = world.get("Pod", "grafana-abc-1")["spec"]
    body["volumes"] = [{"name": "d", "secret": {"secretName": "grafana-datasources"}}]
    body["containers"][0]["volumeMounts"] = [{"name": "d", "mountPath": "/etc/grafana/provisioning/datasources"}]
    return world


def sidecar(world: World, resource: str) -> World:
    env = {"FOLDER": "/etc/grafana/provisioning/datasources", "RESOURCE": resource}
    container = {"name": "sidecar", "image": "x", "env": [{"name": key, "value": env[key]} for key in env]}
    world.get("Pod", "grafana-abc-1")["spec"]["containers"].append(container)
    return world


@pytest.mark.parametrize(
    "world", [mounted(provisioned(World())), sidecar(provisioned(World(), {"grafana_datasource": ""}), "both")]
)
def test_a_secret_is_read_only_where_that_is_allowed_and_only_its_address_is_kept(world: World) -> None:
    assert "read_secrets" in refusal(world)
    assert "SecretDataSource" not in kinds_asked(world)
    source = found(world, WITH_SECRETS)
    assert (source.url, source.headers, source.query_parameters) == (URL, ("host",), "")
    assert source.source == f"Secret/{NS}/grafana-datasources"
    assert CANARY not in str(world.snapshot(WITH_SECRETS).answers())


def test_a_secret_that_grafana_mounts_and_we_do_not_read_may_hold_another_source() -> None:
    world = mounted(provisioned(World()))
    world.datasources = [PROVISIONED]
    assert "cannot be told: Secret grafana-datasources provisions data sources too" in refusal(world)
    assert found(world, BY_UID).uid == "tenant-x"


def test_no_secret_is_asked_for_where_grafana_loads_none() -> None:
    world = sidecar(provisioned(World(), {"grafana_datasource": "1"}), "configmap")
    assert "Secret" not in refusal(world, WITH_SECRETS)
    assert "SecretDataSource" not in kinds_asked(world)


def test_a_broken_secret_is_a_problem_that_does_not_quote_it() -> None:
    world = mounted(provisioned(World()))
    secret = world.get("Secret", "grafana-datasources")
    for text in (f"url: [{CANARY}", f"\x00{CANARY}"):
        secret["data"] = {"a.yaml": base64.b64encode(text.encode()).decode()}
        message = refusal(world, WITH_SECRETS)
        assert f"key a.yaml of Secret {NS}/grafana-datasources: it cannot be decoded as YAML" in message
        assert CANARY not in message
    secret["data"] = {"a.yaml": "%%%"}
    assert "cannot be decoded" in refusal(world, WITH_SECRETS)


def test_a_source_without_a_uid_goes_by_its_name() -> None:
    world = World()
    world.datasources = [{**PROVISIONED, "uid": ""}, {**PROVISIONED, "uid": "other", "name": "Other"}]
    assert "Tenant x (Tenant x), other (Other)" in refusal(world)
    assert found(world, ANY._replace(datasource_uid="Tenant x")).url == URL


def test_every_source_is_taken_once_though_grafana_lists_it_again() -> None:
    world = operated(World(), custom("tenant-y", datasource={"name": "Tenant y"}))
    world.datasources = [{**PROVISIONED, "uid": ""}]
    listed = [{**SOURCE, "uid": "generated"}, {**SOURCE, "uid": "by-hand", "name": "By hand"}]
    grafana_api = Need("grafana", "", NS, "/api/datasources").key
    question = ANY._replace(ask_grafana=True)
    snapshot = world.snapshot(question._replace(datasource_url=URL)).extended({grafana_api: Answer(tuple(listed))})
    while True:
        try:
            sources, problems = datasources.every(question, snapshot, discovery.grafana(question, snapshot))
            break
        except NotReadError as missing:
            snapshot = snapshot.extended({need.key: world.answer(need) for need in missing.needs})
    assert [source.handle for source in sources] == ["Tenant x", "tenant-y", "by-hand"]
    assert problems == ()
