# SPDX-License-Identifier: GPL-3.0-or-later
"""An object that has an owner is not changed unasked: what to paste there comes with the refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from world import NS, PROMETHEUS_HOST, World, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import choice
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.choice import RefusedError, Wish
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Remedy

HELM = {"meta.helm.sh/release-name": "stack", "meta.helm.sh/release-namespace": NS}
FLAG = f"--rewrite-host-header-to={PROMETHEUS_HOST}"
REWRITE, TCP = ("host_rewrite", ""), ("service_protocol", "tcp")
OBJECTS = {REWRITE: ("Deployment", "prom-label-proxy"), TCP: ("Service", "prometheus")}


def owned(fix: tuple[str, str], **metadata: Any) -> World:
    world = World()
    world.get(*OBJECTS[fix])["metadata"].update(metadata)
    return world


def made_by_prometheus(fix: tuple[str, str], **metadata: Any) -> World:
    """The object is made by prometheus-operator; metadata: of the custom resource."""
    world = owned(fix, ownerReferences=PROMETHEUS)
    world.add(obj("Prometheus", "k8s", {}, MONITORING, uid="uid-k8s", **metadata))
    return world


def remedy(world: World, fix: tuple[str, str]) -> Remedy:
    return next(entry for entry in world.diagnose().remedies if (entry.strategy, entry.protocol) == fix)


ARGO = {"argocd.argoproj.io/tracking-id": "mon:apps/Deployment:monitoring/prom-label-proxy"}
FLUX = {"kustomize.toolkit.fluxcd.io/name": "mon", "kustomize.toolkit.fluxcd.io/namespace": "flux"}
FLUX_HELM = {"helm.toolkit.fluxcd.io/name": "plp", "helm.toolkit.fluxcd.io/namespace": NS}
CHART = {"helm.sh/chart": "prom-label-proxy-0.15.0"}
MONITORING = "monitoring.coreos.com/v1"
PROMETHEUS = [{"apiVersion": MONITORING, "kind": "Prometheus", "name": "k8s", "uid": "uid-k8s", "controller": True}]
CSV = {"apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion", "name": "x", "uid": "uid-x"}
FLEET = {"objectset.rio.cattle.io/id": "default-monitoring-agent"}
FLEET_TEXT = "Helm release monitoring/stack in Fleet default-monitoring-agent, which"
ADDON = {
    "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
    "objectset.rio.cattle.io/owner-name": "x",
    "objectset.rio.cattle.io/owner-namespace": "kube-system",
}
CASES: list[tuple[tuple[str, str], dict[str, Any], str, str, Any]] = [
    (
        REWRITE,
        {"annotations": HELM, "labels": CHART},
        "Helm release monitoring/stack",
        "values",
        {"config": {"extraArgs": [FLAG]}},
    ),
    (
        REWRITE,
        {"annotations": ARGO, "labels": CHART},
        "Argo CD application mon",
        "values",
        {"config": {"extraArgs": [FLAG]}},
    ),
    (
        REWRITE,
        {"labels": {**FLUX_HELM, **CHART}},
        "Flux HelmRelease monitoring/plp",
        "resource",
        {"spec": {"values": {"config": {"extraArgs": [FLAG]}}}},
    ),
    (REWRITE, {"annotations": HELM}, "Helm release monitoring/stack", "kustomize", None),
    (TCP, {"labels": FLUX}, "Flux Kustomization flux/mon", "kustomize", None),
    (TCP, {"labels": {"kapp.k14s.io/app": "7"}}, "kapp app 7", "kustomize", None),
    (
        TCP,
        {"labels": {"objectset.rio.cattle.io/hash": "7"}, "annotations": {**FLEET, **HELM}},
        FLEET_TEXT,
        "kustomize",
        None,
    ),
    (
        TCP,
        {"labels": {"objectset.rio.cattle.io/hash": "7"}, "annotations": ADDON},
        "Addon kube-system/x",
        "kustomize",
        None,
    ),
    (TCP, {"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD application (field", "kustomize", None),
    (TCP, {"managedFields": [{"manager": "kapp-server-side-apply"}]}, "kapp app (field", "kustomize", None),
    (TCP, {"ownerReferences": [CSV]}, "ClusterServiceVersion x", "by_hand", {}),
    (TCP, {"labels": {"olm.owner": "x", "olm.owner.kind": "ClusterServiceVersion"}}, "OLM ClusterS", "by_hand", {}),
    (
        TCP,
        {"ownerReferences": PROMETHEUS},
        "Prometheus k8s",
        "resource",
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"namespace": NS, "name": "k8s"},
            "spec": {"portName": "tcp-web"},
        },
    ),
]


@pytest.mark.parametrize(("fix", "metadata", "owner", "form", "content"), CASES)
def test_what_to_change_at_the_owner(
    fix: tuple[str, str], metadata: dict[str, Any], owner: str, form: str, content: Any
) -> None:
    found = remedy(owned(fix, **metadata), fix)
    [entry] = found.at_owner
    kind, name = OBJECTS[fix]
    assert not found.applicable
    assert f"{kind}/{NS}/{name} is managed by {owner}" in found.reason
    assert (entry.object, entry.form) == (f"{kind}/{NS}/{name}", form)
    if content is not None:
        assert entry.content == content
    else:
        [patch] = entry.content["patches"]
        assert patch["target"]["name"] == name
        operations = json.loads(patch["patch"])
        assert "/metadata/uid" not in [operation["path"] for operation in operations]
        assert operations[-1]["op"] in ("add", "replace")


@pytest.mark.parametrize(("metrics", "extra"), [(True, [FLAG]), (False, ["--internal-listen-address=:9", FLAG])])
def test_of_prom_label_proxys_arguments_those_of_its_chart_are_left_out(metrics: bool, extra: list[str]) -> None:
    """With its metrics on, the chart writes one argument more; without them the same one comes from the values."""
    world = owned(REWRITE, annotations=HELM, labels=CHART)
    world.proxy_args(lambda args: [*args, "--internal-listen-address=:9"])
    [container] = world.get("Deployment", "prom-label-proxy")["spec"]["template"]["spec"]["containers"]
    container["ports"] += [{"name": "http-metrics", "containerPort": 9}] if metrics else []
    assert remedy(world, REWRITE).at_owner[0].content == {"config": {"extraArgs": extra}}


def test_what_an_operator_makes_is_changed_where_its_own_owner_gets_it() -> None:
    [entry] = remedy(made_by_prometheus(TCP, labels=FLUX), TCP).at_owner
    assert entry.owner == "Prometheus k8s in Flux Kustomization flux/mon"
    assert entry.how.startswith("Merge this into Prometheus monitoring/k8s, where Flux Kustomization flux/mon gets it.")
    assert entry.content["spec"] == {"portName": "tcp-web"}
    assert "ServiceMonitors and Services that use the port by its name" in entry.how


UPSTREAM = f"--upstream=http://{PROMETHEUS_HOST}:9090"
STACK = {"chart": "kube-prometheus-stack-88.5.3"}
SPEC: list[tuple[tuple[str, str], dict[str, Any]]] = [
    (TCP, {"portName": "tcp-web"}),
    (REWRITE, {"containers": [{"name": "prom-label-proxy", "args": [UPSTREAM, FLAG]}]}),
]


@pytest.mark.parametrize(("fix", "spec"), SPEC)
@pytest.mark.parametrize("flux", [False, True])
def test_the_custom_resource_of_the_stack_is_changed_by_its_values(
    fix: tuple[str, str], spec: dict[str, Any], flux: bool
) -> None:
    labels = {**STACK, **FLUX_HELM} if flux else STACK
    world = made_by_prometheus(fix, labels=labels, annotations=HELM)
    world.proxy_args(lambda _args: [UPSTREAM])
    [entry] = remedy(world, fix).at_owner
    values = {"prometheus": {"prometheusSpec": spec}}
    assert entry.content == ({"spec": {"values": values}} if flux else values)
    assert entry.form == ("resource" if flux else "values")
    assert entry.owner.startswith("Prometheus k8s in Helm release monitoring/stack")


def test_the_values_of_oauth2_proxy_are_a_mapping() -> None:
    """Of another proxy the chart's label decides, not the program."""
    world = owned(REWRITE, annotations=HELM, labels={"helm.sh/chart": "oauth2-proxy-8.3.0"})
    [entry] = remedy(world, REWRITE).at_owner
    assert entry.content == {"extraArgs": {"rewrite-host-header-to": PROMETHEUS_HOST}}
    assert f"Where extraArgs is a list already, append {FLAG} to it." in entry.how


def test_the_stack_names_its_port() -> None:
    world = owned(TCP, annotations=HELM, labels={"helm.sh/chart": "kube-prometheus-stack-88.5.3"})
    [entry] = remedy(world, TCP).at_owner
    # The world's Service has not the name that the chart gives its own.
    assert entry.form == "kustomize"


def test_a_fix_that_only_restarts_the_owned_workload_is_no_fight() -> None:
    found = remedy(owned(REWRITE, annotations=HELM), TCP)
    assert found.applicable
    assert "may_be_reverted" in [effect.effect for effect in found.effects]


def test_force_takes_what_the_owner_may_take_back_and_nothing_else_changes() -> None:
    remedies = owned(REWRITE, annotations=HELM).diagnose().remedies
    with pytest.raises(RefusedError, match="force_live: true") as refused:
        choice.choose(remedies, Wish("host_rewrite", "auto"), "ill")
    assert [entry.form for entry in refused.value.at_owner] == ["kustomize"]
    forced = choice.choose(remedies, Wish("host_rewrite", "auto", force_live=True), "ill")
    assert forced.hash
    assert choice.choose(remedies, Wish("auto", "auto", force_live=True), "ill").strategy == "route_alias"
