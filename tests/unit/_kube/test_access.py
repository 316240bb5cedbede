# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import (
    Access,
    MissingRightsError,
    Right,
    allows,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ForbiddenError
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, status

NS = "monitoring"
PATCH = Right("patch", "services", "", NS, "prometheus", "remediator.yaml")
LOGS = Right("get", "pods/log", "", NS, "", "reader.yaml")
ROUTES = Right("list", "virtualservices", "networking.istio.io", "", "", "cluster.yaml")


def rule(verbs: str, resources: str, group: str = "", names: list[str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    return {**found, "resourceNames": names} if names else found


def reviews(server: ApiServer) -> list[str]:
    return [request.path.rpartition("/")[2] for request in server.requests]


def test_one_list_answers_for_a_namespace_and_is_asked_once(server: ApiServer, client: Client) -> None:
    server.authorizer.grants = {NS: [rule("get patch", "services pods/log")], "other": [rule("*", "*")]}
    access = Access(client)
    access.require([PATCH, LOGS])
    access.require([LOGS, PATCH._replace(verb="get")])
    assert reviews(server) == ["selfsubjectrulesreviews"]
    assert server.requests[0].body["spec"] == {"namespace": NS}


def test_asking_is_no_write_and_may_be_repeated(server: ApiServer, client: Client) -> None:
    server.once(Answer(503, status(503, "ServiceUnavailable", "try again")), "POST")
    Access(client).require([PATCH, ROUTES])
    assert server.writes() == []
    assert reviews(server) == ["selfsubjectrulesreviews", "selfsubjectrulesreviews", "selfsubjectaccessreviews"]


def test_a_right_in_the_whole_cluster_is_not_one_in_a_namespace(server: ApiServer, client: Client) -> None:
    server.authorizer.grants = {NS: [rule("list", "virtualservices", "networking.istio.io")]}
    with pytest.raises(MissingRightsError, match="in the whole cluster: list virtualservices"):
        Access(client).require([ROUTES])
    assert reviews(server) == ["selfsubjectaccessreviews"]
    assert server.requests[0].body["spec"]["resourceAttributes"] == {
        "verb": "list",
        "group": "networking.istio.io",
        "resource": "virtualservices",
    }


def test_an_authorizer_that_cannot_list_is_asked_right_by_right(server: ApiServer, client: Client) -> None:
    server.authorizer.listing = False
    server.authorizer.grants = {NS: [rule("patch", "services")]}
    with pytest.raises(MissingRightsError) as caught:
        Access(client).require([PATCH, LOGS])
    assert caught.value.rights == (LOGS,)
    asked = [request.body["spec"]["resourceAttributes"] for request in server.requests[1:]]
    assert [(one["resource"], one.get("subresource"), one.get("name")) for one in asked] == [
        ("services", None, "prometheus"),
        ("pods", "log", None),
    ]


def test_every_missing_right_is_named_with_where_and_what_grants_it(server: ApiServer, client: Client) -> None:
    server.authorizer.grants = {}
    read = Right("get", "configmaps", "", "istio-system", "istio", "root-namespace.yaml")
    rights = [LOGS, Right("list", "pods", "", NS, "", "reader.yaml"), PATCH._replace(verb="get"), PATCH, read, ROUTES]
    with pytest.raises(MissingRightsError) as caught:
        Access(client).require(rights)
    assert str(caught.value) == (
        "Rights are missing, so nothing was begun: in namespace monitoring: get pods/log, list pods "
        '(kubectl apply -n monitoring -f reader.yaml) and get, patch services "prometheus" '
        "(kubectl apply -n monitoring -f remediator.yaml); in namespace istio-system: get configmaps "
        '"istio" (kubectl apply -n istio-system -f root-namespace.yaml); in the whole cluster: '
        "list virtualservices.networking.istio.io (kubectl apply -f cluster.yaml). The files are in "
        "playbooks/files/rbac of this collection; docs/access.md says what each of them grants."
    )


def test_a_refused_review_is_no_permission(server: ApiServer, client: Client) -> None:
    server.forbid("POST", "selfsubjectrulesreviews")
    with pytest.raises(ForbiddenError, match=r"^Not allowed to create SelfSubjectRulesReview: .*grant this right"):
        Access(client).require([PATCH])


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        (rule("patch", "services"), True),
        (rule("*", "services"), True),
        (rule("patch", "*"), True),
        (rule("get", "services"), False),
        (rule("patch", "services/status"), False),
        (rule("patch", "services", "apps"), False),
        (rule("patch", "services", "*"), True),
        (rule("patch", "services", names=["prometheus"]), True),
        (rule("patch", "services", names=["grafana"]), False),
        ({}, False),
    ],
)
def test_a_rule_grants_what_rbac_says(granted: dict[str, Any], expected: bool) -> None:
    assert allows(granted, PATCH) is expected


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        (rule("get", "pods/log"), True),
        (rule("get", "*/log"), True),
        (rule("get", "pods"), False),
        (rule("get", "pods/*"), False),
        # A name that is not known yet is not among those that are granted.
        (rule("get", "pods/log", names=["grafana-1"]), False),
    ],
)
def test_a_subresource_is_a_right_of_its_own(granted: dict[str, Any], expected: bool) -> None:
    assert allows(granted, LOGS) is expected
