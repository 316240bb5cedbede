# SPDX-License-Identifier: GPL-3.0-or-later
"""What the copy of a proxy is made of, and where no copy would show the truth."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from world import NS, PROMETHEUS_HOST, World, istio, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import shadow
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.json_patch import PatchError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.shadow import NotRehearsableError, Shadow

PROXY = {"app.kubernetes.io/name": "prom-label-proxy"}


def build(world: World, strategy: str = "host_rewrite", index: int = 1) -> Shadow:
    diagnosis = world.diagnose()
    [changes] = [remedy.changes for remedy in diagnosis.remedies if remedy.strategy == strategy]
    return shadow.build(diagnosis.path, index, world.get("Deployment", "prom-label-proxy"), changes, "path-1", "run-1")


def test_the_copy_is_the_proxy_with_the_change_under_labels_of_its_own() -> None:
    world = World()
    deployment = world.get("Deployment", "prom-label-proxy")
    before = copy.deepcopy(deployment)
    template = deployment["spec"]["template"]
    template["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "proxy.istio.io/config": "{}"}
    template["spec"]["serviceAccountName"] = "prom-label-proxy"
    world.get("Pod", "prom-label-proxy-abc-1")["metadata"]["labels"]["istio.io/rev"] = "canary"
    made, policy = build(world).bodies
    copied = made["spec"]["template"]
    assert copied["metadata"] == {
        "labels": {shadow.RUN_LABEL: "run-1", "istio.io/rev": "canary"},
        "annotations": {"proxy.istio.io/config": "{}"},
    }
    assert made["spec"]["selector"] == {"matchLabels": copied["metadata"]["labels"]}
    [container] = copied["spec"].pop("containers")
    [original] = before["spec"]["template"]["spec"]["containers"]
    assert container == {**original, "args": [*original["args"], f"--rewrite-host-header-to={PROMETHEUS_HOST}"]}
    assert copied["spec"] == {"serviceAccountName": "prom-label-proxy"}
    assert made["metadata"]["annotations"] == {shadow.OWNS: "AuthorizationPolicy"}
    assert policy["spec"] == {
        "selector": {"matchLabels": copied["metadata"]["labels"]},
        "action": "DENY",
        "rules": [{}],
    }
    assert {body["metadata"]["name"] for body in (made, policy)} == {shadow.name("path-1")}
    assert not objects.selects(PROXY, copied["metadata"]["labels"])


def test_a_route_is_made_for_the_copy_alone() -> None:
    _deployment, _policy, alias = build(World(), "route_alias").bodies
    matches = [match["sourceLabels"] for rule in alias["spec"]["http"] for match in rule["match"]]
    assert matches == [{shadow.RUN_LABEL: "run-1"}]
    assert alias["spec"]["exportTo"] == ["."]


def test_the_query_reaches_the_copy_as_it_reaches_the_proxy() -> None:
    made = build(World())
    assert (made.host, made.base, made.port.number) == (f"prom-label-proxy.{NS}.svc.cluster.local:8080", "", 8080)


def with_pod_spec(**fields: object) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"] |= fields

    return change


def with_host_port(world: World) -> None:
    [container] = world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"]["containers"]
    container["ports"] = [{"containerPort": 8080, "hostPort": 80}]


def with_object(kind: str, spec: dict[str, object]) -> Callable[[World], None]:
    return lambda world: world.add(istio(kind, "theirs", spec)) and None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_pod_spec(hostNetwork=True), "use the node's network"),
        (
            with_pod_spec(volumes=[{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}]),
            "use a PersistentVolumeClaim",
        ),
        (with_host_port, "use a port of its node"),
        (
            with_object("DestinationRule", {"host": "other", "workloadSelector": {"matchLabels": PROXY}}),
            "DestinationRule/monitoring/theirs holds for Deployment/monitoring/prom-label-proxy by its labels",
        ),
        (
            with_object(
                "VirtualService",
                {"hosts": ["other"], "http": [{"match": [{"sourceLabels": PROXY}], "route": []}]},
            ),
            "VirtualService/monitoring/theirs holds for",
        ),
        (
            lambda world: (
                world.add(obj("Service", "all", {"selector": {"istio.io/rev": "canary"}, "ports": []})) and None
            ),
            "Service monitoring/all would lead to the copy too",
        ),
    ],
)
def test_where_a_copy_would_not_show_the_truth_it_is_refused(change: Callable[[World], None], says: str) -> None:
    world = World()
    world.get("Pod", "prom-label-proxy-abc-1")["metadata"]["labels"]["istio.io/rev"] = "canary"
    change(world)
    with pytest.raises(NotRehearsableError) as refused:
        build(world)
    assert says in str(refused.value)


def test_grafana_itself_is_not_copied() -> None:
    with pytest.raises(NotRehearsableError, match=r"is about Deployment/monitoring/grafana itself"):
        build(World(), index=0)


def test_a_secret_header_keeps_a_query_from_being_the_users() -> None:
    world = World()
    diagnosis = world.diagnose()
    source = diagnosis.path.datasource._replace(headers=("X-Scope-OrgID",))
    workload = world.get("Deployment", "prom-label-proxy")
    with pytest.raises(NotRehearsableError, match=r"headers of its own \(X-Scope-OrgID\)"):
        shadow.build(diagnosis.path._replace(datasource=source), 1, workload, (), "path-1", "run-1")


def test_a_proxy_that_changed_since_is_not_copied() -> None:
    world = World()
    diagnosis = world.diagnose()
    [changes] = [remedy.changes for remedy in diagnosis.remedies if remedy.strategy == "host_rewrite"]
    workload = copy.deepcopy(world.get("Deployment", "prom-label-proxy"))
    workload["spec"]["template"]["spec"]["containers"][0]["args"] = ["--other"]
    with pytest.raises(PatchError):
        shadow.build(diagnosis.path, 1, workload, changes, "path-1", "run-1")
