# SPDX-License-Identifier: GPL-3.0-or-later
"""A question that cannot be answered gets one sentence: what, where, what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, QUESTION, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import (
    InputError,
    KnownProxy,
    Question,
)

BY_UID = Question(NS, "grafana", datasource_uid="tenant-x")
SOURCE = {"uid": "tenant-x", "name": "Prometheus (tenant x)", "type": "prometheus", "url": f"http://{PROXY_HOST}:8080"}


def unknown_proxy(world: World) -> World:
    pod = world.get("Pod", "prom-label-proxy-abc-1")
    pod["spec"]["containers"][0].update(image="registry.example/teamproxy:1", args=["serve"])
    return world


def bare(world: World) -> World:
    for pod in (entry for entry in world.objects if entry["kind"] == "Pod"):
        pod["spec"].pop("initContainers", None)
    return world


def sources(world: World, *entries: dict[str, object]) -> World:
    world.datasources = list(entries)
    return world


def unselecting(world: World) -> World:
    world.get("Service", "prometheus")["spec"]["selector"] = {}
    return world


def refused(world: World, kind: str) -> World:
    world.refused[kind] = "403 Forbidden: pods is forbidden"
    return world


CASES: dict[str, tuple[Callable[[World], World], Question, tuple[str, ...]]] = {
    "unknown namespace": (
        lambda w: w,
        Question("nowhere", "grafana", datasource_url="http://x"),
        ("Namespace nowhere",),
    ),
    "unknown workload": (
        lambda w: w,
        QUESTION._replace(grafana_name="grafanna"),
        ("grafanna does not exist", "kubectl"),
    ),
    "no pods": (lambda w: w.remove("Pod", "grafana-abc-1"), QUESTION, ("has no pods",)),
    "pods refused": (lambda w: refused(w, "Pod"), QUESTION, ("403 Forbidden",)),
    "no such data source": (lambda w: w, BY_UID, ("'tenant-x'", "grafana_token")),
    "two candidates": (
        lambda w: sources(w, SOURCE, {**SOURCE, "uid": "tenant-y", "name": "other"}),
        Question(NS, "grafana"),
        ("tenant-x (Prometheus (tenant x)), tenant-y (other)", "datasource_uid"),
    ),
    "no URL": (lambda w: w, QUESTION._replace(datasource_url="prometheus"), ("no http or https URL",)),
    "a name outside the cluster": (
        lambda w: w,
        QUESTION._replace(datasource_url="https://metrics.example.com"),
        ("metrics.example.com", "cluster_domain"),
    ),
    "no such Service": (
        lambda w: w,
        QUESTION._replace(datasource_url="http://nobody:80"),
        ("Service monitoring/nobody",),
    ),
    "no such port": (lambda w: w, QUESTION._replace(datasource_url=f"http://{PROXY_HOST}:81"), ("no port 81", "8080")),
    "a proxy that nobody knows": (
        unknown_proxy,
        QUESTION._replace(datasource_url=f"http://{PROXY_HOST}:8080"),
        ("registry.example/teamproxy:1", "proxies: [{workload: monitoring/prom-label-proxy"),
    ),
    "a Service without a selector": (unselecting, QUESTION, ("has no selector",)),
    "a path without a sidecar": (bare, QUESTION, ("is in the mesh", "not Istio's doing")),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_answered_in_a_sentence(name: str) -> None:
    change, question, fragments = CASES[name]
    with pytest.raises(InputError) as caught:
        change(World()).diagnose(question)
    message = str(caught.value)
    assert all(fragment in message for fragment in fragments), message
    assert "\n" not in message


def test_a_data_source_is_found_by_uid_in_its_config_map() -> None:
    world = sources(
        World(),
        {
            **SOURCE,
            "source": f"ConfigMap/{NS}/grafana-datasources",
            "jsonData": {"customQueryParameters": "namespace=x"},
        },
    )
    found = world.diagnose(BY_UID).path.datasource
    assert (found.url, found.query_parameters) == (f"http://{PROXY_HOST}:8080", "namespace=x")
    assert found.source == f"ConfigMap/{NS}/grafana-datasources"


def test_the_only_data_source_that_is_seen_is_not_the_only_one_where_a_list_was_refused() -> None:
    world = sources(World(), {**SOURCE, "source": f"ConfigMap/{NS}/grafana-datasources"})
    seen = world.snapshot(BY_UID)
    key = next(key for key in seen.answers() if "DataSource" in key)
    partly = seen.extended({key: seen.answers()[key]._replace(problem="403 Forbidden: cannot list configmaps")})
    assert diagnose(BY_UID, partly).path.datasource.uid == "tenant-x"
    with pytest.raises(InputError, match=r"whether it is the only one cannot be told: 403 .*with datasource_uid\.$"):
        diagnose(BY_UID._replace(datasource_uid=""), partly)


def test_what_the_user_knows_about_a_proxy_is_believed() -> None:
    known = KnownProxy(f"{NS}/prom-label-proxy", upstream=f"http://{PROMETHEUS_HOST}:9090", host="upstream")
    diagnosis = unknown_proxy(World()).diagnose(QUESTION._replace(proxies=(known,)))
    assert [hop.host for hop in diagnosis.path.hops] == [f"{PROXY_HOST}:8080", f"{PROMETHEUS_HOST}:9090"]
    assert diagnosis.judgement.verdict.status == "healthy"


def test_a_loop_of_proxies_is_cut_and_named() -> None:
    world = World().proxy_args(
        lambda args: [word.replace("prometheus.", "prom-label-proxy.").replace("9090", "8080") for word in args]
    )
    with pytest.raises(InputError, match="Is it a loop"):
        world.diagnose()


def test_a_data_source_that_grafana_does_not_know_either_is_not_asked_for_again() -> None:
    with pytest.raises(InputError) as caught:
        World().diagnose(BY_UID._replace(ask_grafana=True))
    assert "nor in Grafana" in str(caught.value)
    assert "grafana_token" not in str(caught.value)
