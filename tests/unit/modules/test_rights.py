# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped RBAC is enough, no part of it is too much, and what is missing is named before anything is begun."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from variations import destination_rule
from world import NS, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import rights as apply_rights
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import cluster
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Right, of_kind
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import rights as read_rights
from ansible_collections.meshops.istio_remediation.plugins.modules import (
    query_path_info,
    query_path_probe,
    query_path_remediation,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube import rbac
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
VERSIONS = {"Service": "v1", "VirtualService": "networking.istio.io/v1", "DestinationRule": "networking.istio.io/v1"}
# What each strategy writes: plugins/module_utils/_plan/strategies.
PATCHED, CREATED = ("Service", "DestinationRule", *KINDS), ("VirtualService", "DestinationRule")

# What a rehearsal sets up: plugins/module_utils/_plan/shadow.py.
SHADOW = ("Deployment", "AuthorizationPolicy", "VirtualService", "DestinationRule", "Service")


def example(kind: str) -> dict[str, Any]:
    metadata = {"namespace": NS, "name": "prometheus", "uid": "1"}
    return {"apiVersion": VERSIONS.get(kind, "apps/v1"), "kind": kind, "metadata": metadata, "spec": {}}


def changes() -> list[Change]:
    made = [change.create(example(kind), "why") for kind in CREATED]
    waits = {kind: change.ROLLOUT if kind in KINDS else change.PUSH for kind in PATCHED}
    return [*made, *(change.patch(kind, example(kind), [], [], "why", waits[kind]) for kind in PATCHED)]


# What is asked for only where the first look did not find something.
ELSEWHERE = (
    Right("get", "namespaces", "", NS, "", "reader.yaml"),
    of_kind("list", "GrafanaDatasource", NS, "reader.yaml"),
    of_kind("get", "Grafana", NS, "reader.yaml"),
    of_kind("get", "Prometheus", NS, "reader.yaml"),
    *(of_kind(verb, "Secret", NS, "secrets.yaml") for verb in ("get", "list")),
)


def needed() -> list[Right]:
    """Every right that some run asks for, and the one that only words a message better."""
    questions = [Question(NS, "grafana", kind) for kind in KINDS]
    reading = [right for question in questions for right in read_rights.to_diagnose(question)]
    probing = read_rights.to_probe(questions[0], by_port_forward=True, by_exec=True)
    writing = [*apply_rights.to_apply(changes(), NS), *apply_rights.to_revert(changes(), NS)]
    rehearsing = apply_rights.to_rehearse([{**example(kind), "kind": kind} for kind in SHADOW], NS)
    return [*reading, *probing, *writing, *rehearsing, cluster.TO_IDENTIFY, *ELSEWHERE]


@pytest.mark.parametrize("file", sorted(path.name for path in rbac.FILES.glob("*.yaml")))
def test_a_file_grants_what_is_asked_for_and_nothing_else(file: str) -> None:
    granted = {
        (verb, resource, group)
        for rule in rbac.rules(file)
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for group in rule["apiGroups"]
    }
    assert granted == {(right.verb, right.resource, right.group) for right in needed() if right.granted_by == file}


def test_nothing_is_asked_for_that_no_file_grants() -> None:
    files = {path.name for path in rbac.FILES.glob("*.yaml")}
    assert {right.granted_by for right in needed()} == files - {"identities.yaml"}


def test_only_the_mesh_settings_can_be_read_in_the_root_namespace() -> None:
    [rule] = [rule for rule in rbac.rules("root-namespace.yaml") if rule["resources"] == ["configmaps"]]
    assert (rule["resourceNames"], rule["verbs"]) == (["istio"], ["get"])


@pytest.mark.parametrize("file", sorted(path.name for path in rbac.FILES.glob("*.yaml")))
def test_bindings_grant_the_role_beside_them_to_identities_that_exist(file: str) -> None:
    identities = {item["metadata"]["name"] for item in rbac.manifests("identities.yaml")} - {"istio-remediation"}
    items = rbac.manifests(file)
    roles = {(item["kind"], item["metadata"]["name"]) for item in items if "rules" in item}
    for item in items:
        if "roleRef" in item:
            assert (item["roleRef"]["kind"], item["roleRef"]["name"]) in roles
            assert {subject["namespace"] for subject in item["subjects"]} == {"istio-remediation"}
    assert rbac.subjects(file) <= identities


def test_only_the_remediator_may_change_anything() -> None:
    """A port-forward is a `create`, too, and stores nothing."""
    for identity in ("reader", "prober"):
        given = [rule for rules in rbac.grants(identity, NS).values() for rule in rules]
        verbs = {verb for rule in given if rule["resources"] != ["pods/portforward"] for verb in rule["verbs"]}
        assert verbs <= {"get", "list"}


def without_mtls() -> World:
    """A sound path whose client is told not to speak mTLS."""
    world = World()
    destination_rule({"mode": "DISABLE"})(world)
    return world


def run(server: ApiServer, module: ModuleType, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": "canary-token-7f3a", "grafana_namespace": NS, **options}
    return run_module(module, check=check, **given)


@pytest.mark.parametrize(
    ("strategy", "world"),
    [
        ("host_rewrite", World()),
        ("route_alias", World()),
        ("service_protocol", World()),
        ("destination_rule", without_mtls()),
    ],
)
def test_the_shipped_rights_carry_each_strategy_there_and_back(server: ApiServer, strategy: str, world: World) -> None:
    load(server, world)
    server.authorizer.grants = rbac.grants("remediator", NS, journal="istio-remediation")
    refused = rbac.enforce(server)
    options = {"strategy": strategy, "journal_namespace": "istio-remediation"}
    done = run(server, query_path_remediation, **options)
    assert done["changed"] is True, done["msg"]
    back = run(server, query_path_remediation, state="reverted", journal_namespace="istio-remediation")
    assert back["restored"] == [change["target"] for change in done["changes"]]
    # The strategy asks the program itself only as a courtesy: without exec it goes by the image's tag.
    assert [what for what in refused if not what.startswith("get pods/exec")] == []


def test_the_reader_sees_everything_that_a_verdict_rests_on(server: ApiServer) -> None:
    load(server)
    server.authorizer.grants = rbac.grants("reader", NS)
    refused = rbac.enforce(server)
    found = run(server, query_path_info)
    assert (found["verdict"]["code"], found["unknown"]) == ("QP101", [])
    assert [what for what in refused if not what.startswith("get pods/exec")] == []
    assert server.writes() == []


def without(grants: dict[str, list[dict[str, Any]]], right: Right) -> dict[str, list[dict[str, Any]]]:
    """The grants with one verb on one resource taken out."""

    def reduced(rule: dict[str, Any]) -> list[dict[str, Any]]:
        if right.resource not in rule["resources"] or right.group not in rule["apiGroups"]:
            return [rule]
        others = [resource for resource in rule["resources"] if resource != right.resource]
        verbs = [verb for verb in rule["verbs"] if verb != right.verb]
        return [{**rule, "resources": others}, {**rule, "resources": [right.resource], "verbs": verbs}]

    return {
        place: [less for rule in rules for less in (reduced(rule) if place == right.namespace else [rule])]
        for place, rules in grants.items()
    }


def named(right: Right) -> str:
    return f"{right.resource}.{right.group}" if right.group else right.resource


QUESTION = Question(NS, "grafana")
TO_DIAGNOSE = read_rights.to_diagnose(QUESTION)
TO_PROBE = list(dict.fromkeys(read_rights.to_probe(QUESTION, by_port_forward=True)))


def identify(right: Right) -> str:
    return f"{right.verb} {named(right)} in {right.namespace or 'the cluster'}"


@pytest.mark.parametrize("right", TO_DIAGNOSE, ids=identify)
def test_a_remediation_with_one_right_less_names_it_before_it_reads(server: ApiServer, right: Right) -> None:
    load(server)
    server.authorizer.grants = without(rbac.grants("remediator", NS, journal="journals"), right)
    assert_named(run(server, query_path_remediation, journal_namespace="journals"), right)
    assert {request.method for request in server.requests} == {"POST"}
    assert server.writes() == []


@pytest.mark.parametrize("right", TO_PROBE, ids=identify)
def test_a_probe_with_one_right_less_names_it_before_it_reads(server: ApiServer, right: Right) -> None:
    load(server)
    server.authorizer.grants = without(rbac.grants("prober", NS), right)
    assert_named(run(server, query_path_probe), right)
    assert {request.method for request in server.requests} == {"POST"}


def test_a_probe_by_url_needs_no_port_forward(server: ApiServer) -> None:
    load(server)
    server.authorizer.grants = rbac.grants("reader", NS)
    assert "Rights are missing" not in run(server, query_path_probe, grafana_url="http://127.0.0.1:1")["msg"]


ISTIO = "networking.istio.io"
TO_APPLY = [
    # That it may get Deployments is asked for before it reads.
    ("host_rewrite", Right("patch", "deployments", "apps", NS, "", "remediator.yaml")),
    *(("service_protocol", Right(verb, "services", "", NS, "", "remediator.yaml")) for verb in ("get", "patch")),
    *(
        ("route_alias", Right(verb, "virtualservices", ISTIO, NS, "", "remediator.yaml"))
        for verb in ("get", "create", "delete")
    ),
    *(
        ("destination_rule", Right(verb, "destinationrules", ISTIO, NS, "", "remediator.yaml"))
        for verb in ("get", "patch")
    ),
    *(
        ("host_rewrite", Right(verb, "configmaps", "", "journals", "", "journal.yaml"))
        for verb in ("get", "list", "create", "patch", "delete")
    ),
    *(
        ("host_rewrite", Right(verb, "leases", "coordination.k8s.io", "journals", "", "journal.yaml"))
        for verb in ("get", "create", "patch", "delete")
    ),
]


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize(
    ("strategy", "right"), TO_APPLY, ids=lambda value: value if isinstance(value, str) else identify(value)
)
def test_a_fix_that_cannot_be_written_recorded_or_undone_is_not_begun(
    server: ApiServer, strategy: str, right: Right, check: bool
) -> None:
    load(server, without_mtls() if strategy == "destination_rule" else World())
    server.authorizer.grants = without(rbac.grants("remediator", NS, journal="journals"), right)
    result = run(server, query_path_remediation, check=check, strategy=strategy, journal_namespace="journals")
    assert_named(result, right)
    assert server.writes() == []
    assert [request for request in server.requests if request.query.get("dryRun")] == []


def test_whoever_may_only_read_is_told_everything_at_once(server: ApiServer) -> None:
    load(server)
    server.authorizer.grants = rbac.grants("reader", NS)
    message = run(server, query_path_remediation, strategy="route_alias")["msg"]
    assert message.startswith(
        "Rights are missing, so nothing was begun: in namespace monitoring: "
        "get, create, patch, delete leases.coordination.k8s.io, create, patch, delete configmaps (kubectl apply -n "
        "monitoring -f journal.yaml) and "
    )
    assert "get, delete virtualservices.networking.istio.io" in message
    assert "create virtualservices.networking.istio.io (kubectl apply -n monitoring -f remediator.yaml)" in message


@pytest.mark.parametrize(
    "right",
    [
        Right("delete", "virtualservices", ISTIO, NS, "", "remediator.yaml"),
        Right("patch", "configmaps", "", NS, "", "journal.yaml"),
        Right("list", "configmaps", "", NS, "", "journal.yaml"),
        Right("delete", "configmaps", "", NS, "", "journal.yaml"),
        Right("create", "leases", "coordination.k8s.io", NS, "", "journal.yaml"),
    ],
    ids=identify,
)
def test_a_rollback_with_a_right_less_takes_nothing_back(server: ApiServer, right: Right) -> None:
    load(server)
    run(server, query_path_remediation, strategy="route_alias")
    written = len(server.writes())
    server.authorizer.grants = without(rbac.grants("remediator", NS), right)
    assert_named(run(server, query_path_remediation, state="reverted"), right)
    assert len(server.writes()) == written


def assert_named(result: dict[str, Any], right: Right) -> None:
    place = f"in namespace {right.namespace}" if right.namespace else "in the whole cluster"
    option = f" -n {right.namespace}" if right.namespace else ""
    assert result.get("failed") is True
    assert result.get("changed", False) is False
    message = result["msg"]
    assert message.startswith(f"Rights are missing, so nothing was begun: {place}: {right.verb} {named(right)}")
    assert message.count("kubectl apply") == 1
    assert f"(kubectl apply{option} -f {right.granted_by})" in message


READING = [right for right in TO_DIAGNOSE if (right.verb, right.resource) != ("get", "configmaps")]


@pytest.mark.parametrize("right", READING, ids=identify)
def test_what_the_reader_may_not_read_is_said_with_verb_and_place(server: ApiServer, right: Right) -> None:
    load(server)
    server.authorizer.grants = without(rbac.grants("reader", NS), right)
    rbac.enforce(server)
    found = run(server, query_path_info)
    said = [found.get("msg", ""), *found.get("unknown", [])]
    said += [line for finding in found.get("findings", []) for line in finding["evidence"]]
    said += [remedy["reason"] for remedy in found.get("remedies", []) if not remedy["applicable"]]
    place = right.namespace or "the whole cluster"
    [*_before, line] = [text for text in said if f'cannot {right.verb} resource "{right.resource}"' in text]
    assert place in line
    assert "docs/access.md" in line


@pytest.mark.parametrize("right", [right for right in READING if right.group.endswith("istio.io")], ids=identify)
def test_what_decides_and_cannot_be_read_is_unknown_or_bars_the_fix(server: ApiServer, right: Right) -> None:
    load(server)
    server.authorizer.grants = without(rbac.grants("reader", NS), right)
    rbac.enforce(server)
    found = run(server, query_path_info)
    if right.resource in ("authorizationpolicies", "requestauthentications"):
        declared = [remedy for remedy in found["remedies"] if remedy["strategy"] == "service_protocol"]
        assert [remedy["applicable"] for remedy in declared] == [False, False]
    else:
        assert found["verdict"]["status"] == "inconclusive"
        assert f'cannot list resource "{right.resource}"' in found["verdict"]["summary"]
        assert len(found["unknown"]) == 1
