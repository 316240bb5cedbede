# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from world import NS, PROMETHEUS_HOST, USAGE_0_11, World, istio

from ansible_collections.meshops.istio_remediation.plugins.filter.query_path_report import query_path_report
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import KEPT
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.lease import held
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import JOURNAL_LABEL, PATH_LABEL
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.restart import ANNOTATION
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, Request
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import make_client
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

POLICY = istio(
    "AuthorizationPolicy",
    "readers",
    {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        "action": "ALLOW",
        "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}],
    },
)
STRATEGIES = {
    "host_rewrite": {"strategy": "host_rewrite"},
    "service_protocol auto": {"strategy": "service_protocol"},
    "service_protocol tcp": {"strategy": "service_protocol", "protocol": "tcp"},
    "service_protocol tcp, annotated": {"strategy": "service_protocol", "protocol": "tcp", "annotate": True},
    "route_alias": {"strategy": "route_alias"},
    "auto": {"strategy": "auto"},
}


def remediate(server: ApiServer, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"host": server.url, "api_key": "canary-token-7f3a", "grafana_namespace": NS, **options}
    return run_module(query_path_remediation, check=check, diff=True, **given)


def mesh_objects(server: ApiServer) -> str:
    """Everything that is stored but journals, without what counts writes."""
    kept = copy.deepcopy([o for key, o in sorted(server.objects.items()) if key[0] not in ("configmaps", "pods")])
    for stored in kept:
        stored.pop("status", None)
        for field in ("resourceVersion", "generation"):
            stored["metadata"].pop(field, None)
    return json.dumps(kept, sort_keys=True)


@pytest.mark.parametrize("name", STRATEGIES)
def test_check_equals_run_which_is_idempotent_and_can_be_taken_back(server: ApiServer, name: str) -> None:
    load(server)
    options = STRATEGIES[name]
    before = mesh_objects(server)

    check = remediate(server, check=True, **options)
    assert server.writes() == []
    assert check["msg"].startswith("Would apply ")
    assert check["run"] == ""

    run = remediate(server, **options)
    assert [run[key] for key in ("changed", "diff", "changes")] == [
        check[key] for key in ("changed", "diff", "changes")
    ]
    assert run["changed"] is True
    assert mesh_objects(server) != before
    assert server.stored("ConfigMap", NS, run["run"])["data"]["state"] == "applied"

    written = len(server.writes())
    again = remediate(server, **options)
    assert (again["changed"], again["changes"]) == (False, [])
    assert again["msg"].startswith("Nothing to cure: ")
    assert len(server.writes()) == written

    dry = remediate(server, check=True, state="reverted")
    assert len(server.writes()) == written
    back = remediate(server, state="reverted")
    assert [back[key] for key in ("changed", "diff", "changes", "restored")] == [
        dry[key] for key in ("changed", "diff", "changes", "restored")
    ]
    assert back["restored"] == [change["target"] for change in run["changes"]]
    assert mesh_objects(server) == before

    once_more = remediate(server, state="reverted")
    assert (once_more["changed"], once_more["restored"]) == (False, [])
    assert once_more["msg"].startswith("Nothing to revert")


def test_the_diff_holds_nothing_but_our_fields(server: ApiServer) -> None:
    load(server)
    service, restart = remediate(server, check=True, strategy="service_protocol", protocol="tcp")["diff"]
    assert service == {
        "before_header": "Service/monitoring/prometheus",
        "after_header": "Service/monitoring/prometheus",
        "before": {"spec.ports[9090].appProtocol": None},
        "after": {"spec.ports[9090].appProtocol": "tcp"},
    }
    assert list(restart["after"]) == [f"spec.template.metadata.annotations[{ANNOTATION}]"]


def refused(server: ApiServer, **options: Any) -> dict[str, Any]:
    result = remediate(server, **options)
    assert result["failed"] is True
    assert result["changed"] is False
    assert [write for write in server.writes() if "/leases" not in write.path] == []
    assert [key for key in server.objects if key[0] == "leases"] == []
    return result


def test_an_effect_without_consent_is_refused_with_its_token(server: ApiServer) -> None:
    load(server, World().add(POLICY))
    options = {"strategy": "service_protocol", "protocol": "tcp"}
    result = refused(server, **options)
    [token] = result["consent_needed"]
    assert token.endswith("AuthorizationPolicy/monitoring/readers")
    assert f"To accept this, set accept_effects: ['{token}']." in result["msg"]
    assert "On new connections" in result["msg"]
    applied = remediate(server, accept_effects=[token], **options)
    assert applied["changed"] is True


def test_auto_takes_a_fix_that_needs_no_consent(server: ApiServer) -> None:
    load(server, World().add(POLICY))
    assert remediate(server, check=True)["strategy"] == "host_rewrite"


def test_a_program_that_does_not_know_the_flag_is_left_alone(server: ApiServer) -> None:
    load(server, usage=USAGE_0_11)
    message = refused(server, strategy="host_rewrite")["msg"]
    assert message.startswith("host_rewrite does not apply, nothing was changed.")
    assert "has no flag --rewrite-host-header-to" in message


def test_a_destination_rule_does_not_cure_a_foreign_host(server: ApiServer) -> None:
    load(server)
    assert "destination_rule does not apply" in refused(server, strategy="destination_rule")["msg"]


def test_an_approved_plan_is_carried_out_and_another_one_is_not(server: ApiServer) -> None:
    load(server)
    approved = remediate(server, check=True, strategy="route_alias")["plan_hash"]
    message = refused(server, strategy="host_rewrite", plan_hash=approved)["msg"]
    assert message.startswith(f"The plan is no longer the approved one ({approved}; now host_rewrite ")
    assert remediate(server, plan_hash=approved)["strategy"] == "route_alias"


def test_run_belongs_to_reverting_and_rehearse_to_applying(server: ApiServer) -> None:
    load(server)
    assert remediate(server, run="x")["msg"] == "run is for state: reverted only."
    assert remediate(server, rehearse=True, state="reverted")["msg"] == "rehearse is for state: applied only."


def test_a_named_run_that_is_not_there(server: ApiServer) -> None:
    load(server)
    assert remediate(server, state="reverted", run="x")["msg"] == "ConfigMap monitoring/x does not exist."


def test_no_journal_no_write(server: ApiServer) -> None:
    load(server)
    server.forbid("POST", "configmaps")
    message = refused(server, strategy="route_alias")["msg"]
    assert message.startswith("Not allowed to create ConfigMap monitoring/istio-remediation-")


def test_a_run_ends_without_a_lock_and_a_check_takes_none(server: ApiServer) -> None:
    load(server)
    remediate(server, check=True, strategy="route_alias")
    assert server.writes() == []
    remediate(server, strategy="route_alias")
    first, *_between, last = server.writes()
    assert (first.method, first.body["kind"], last.method) == ("POST", "Lease", "DELETE")
    assert [key for key in server.objects if key[0] == "leases"] == []


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize("state", ["applied", "reverted"])
def test_a_path_that_another_run_is_changing_is_left_alone(server: ApiServer, state: str, check: bool) -> None:
    load(server)
    if state == "reverted":
        remediate(server, strategy="route_alias")
    with held(make_client(server), NS, Question(NS, "grafana").path_id):
        writes = len(server.writes())
        result = remediate(server, check=check, state=state)
        assert len(server.writes()) == writes
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"].startswith("This path is being changed by ")
    assert "; wait, or, should that run be dead, try again after " in result["msg"]


def test_a_plan_that_another_run_made_stale_is_not_carried_out(server: ApiServer) -> None:
    """The first run changes what the second one planned on, before the second one has the path."""
    load(server)
    meddled: list[str] = []

    def other_run(request: Request) -> None:
        if request.method == "POST" and request.path.endswith("/leases") and not meddled:
            meddled.append(request.path)
            server.stored("Service", NS, "prometheus")["spec"]["ports"][0]["appProtocol"] = "http2"

    server.faults.append(other_run)
    message = refused(server, strategy="service_protocol")["msg"]
    assert "is no longer as it was when the plan was made" in message


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
@pytest.mark.parametrize("state", ["applied", "reverted"])
def test_nothing_is_begun_in_another_cluster(server: ApiServer, state: str, check: bool) -> None:
    load(server)
    server.add("Namespace", "", "kube-system")["metadata"]["uid"] = "cluster-a"
    result = remediate(server, check=check, state=state, expect_cluster_uid="cluster-b")
    assert result["msg"] == (
        f"The API server at {server.url} is that of cluster cluster-a, not of cluster-b as expect_cluster_uid says, so "
        "nothing was begun; check kubeconfig and context."
    )
    assert result["changed"] is False
    assert server.writes() == []
    right = remediate(server, check=check, state=state, expect_cluster_uid="cluster-a")
    assert right["cluster_uid"] == "cluster-a"


def test_a_successful_run_prunes_old_journals(server: ApiServer) -> None:
    load(server)
    for number in range(KEPT + 3):
        run = remediate(server, strategy="route_alias")["run"]
        server.stored("ConfigMap", NS, run)["data"]["started"] = f"2026-01-01T00:00:{number:02}Z"
        remediate(server, state="reverted")
    labels = {JOURNAL_LABEL: "true", PATH_LABEL: Question(NS, "grafana").path_id}
    server.add("ConfigMap", NS, "unreadable", labels=labels, data={})
    open_run = remediate(server, strategy="route_alias")["run"]
    kept = [o for o in server.objects.values() if o["metadata"].get("labels", {}).get(JOURNAL_LABEL)]
    states = [o["data"].get("state") for o in kept]
    assert states.count("reverted") == KEPT
    assert {"unreadable", open_run} <= {o["metadata"]["name"] for o in kept}
    started = sorted(o["data"]["started"] for o in kept if o["data"].get("state") == "reverted")
    assert started[0] == "2026-01-01T00:00:03Z"


def test_a_fix_that_fails_half_way_is_taken_back_and_says_so(server: ApiServer) -> None:
    load(server)
    before = mesh_objects(server)
    server.on_write = lambda _verb, _object: None
    result = remediate(server, strategy="host_rewrite", wait_timeout=0)
    assert result["failed"] is True
    assert result["msg"].startswith("host_rewrite failed: Deployment/monitoring/prom-label-proxy did not finish its ro")
    assert "Taken back: Deployment/monitoring/prom-label-proxy." in result["msg"]
    assert mesh_objects(server) == before


def test_what_someone_else_changed_since_is_reported_and_kept(server: ApiServer) -> None:
    load(server)
    remediate(server, strategy="service_protocol", protocol="tcp")
    port = server.stored("Service", NS, "prometheus")["spec"]["ports"][0]
    port["appProtocol"] = "http2"
    result = remediate(server, state="reverted")
    assert result["failed"] is True
    assert result["restored"] == ["Deployment/monitoring/prom-label-proxy"]
    [left] = result["left"]
    assert left == (
        "Service/monitoring/prometheus was changed by someone else since, so it is left as it is: "
        'spec.ports[9090].appProtocol was absent, we wrote "tcp", now it is "http2".'
    )
    assert port["appProtocol"] == "http2"


def owned_by_helm() -> World:
    world = World()
    metadata = world.get("Deployment", "prom-label-proxy")["metadata"]
    metadata["annotations"] = {"meta.helm.sh/release-name": "plp", "meta.helm.sh/release-namespace": NS}
    metadata["labels"] = {"helm.sh/chart": "prom-label-proxy-0.15.0"}
    return world


def test_an_owner_is_not_fought_and_what_to_change_there_is_shown(server: ApiServer) -> None:
    load(server, owned_by_helm())
    result = refused(server, strategy="host_rewrite")
    assert "Deployment/monitoring/prom-label-proxy is managed by Helm release monitoring/plp" in result["msg"]
    [entry] = result["at_owner"]
    assert entry["form"] == "values"
    assert entry["content"] == {"config": {"extraArgs": [f"--rewrite-host-header-to={PROMETHEUS_HOST}"]}}
    shown = query_path_report(result)
    start = shown.index("    config:")
    assert shown[start : start + 3] == [
        "    config:",
        "      extraArgs:",
        f"      - --rewrite-host-header-to={PROMETHEUS_HOST}",
    ]


def test_force_live_changes_it_anyway_and_the_record_says_so(server: ApiServer) -> None:
    load(server, owned_by_helm())
    result = remediate(server, strategy="host_rewrite", force_live=True, soak_seconds=1)
    assert result["changed"] is True
    assert result["msg"].endswith("It stayed for the 1 seconds of the soak.")
    recorded = server.stored("ConfigMap", NS, result["run"])["data"]["forced"]
    assert recorded.startswith(
        "force_live: Deployment/monitoring/prom-label-proxy is managed by Helm release monitoring/plp"
    )


def test_what_an_owner_takes_back_was_changed_all_the_same(server: ApiServer) -> None:
    """Its pods were replaced, twice."""
    load(server, owned_by_helm())
    before = server.stored("Deployment", NS, "prom-label-proxy")["spec"]
    rolls_out = server.on_write

    def owner(verb: str, written: dict[str, Any]) -> None:
        rolls_out(verb, written)
        if written["kind"] == "Deployment":
            written["spec"] = before
            written["metadata"]["managedFields"] = [{"manager": "helm", "time": "2026-11-24T20:00:00Z"}]

    server.on_write = owner
    result = remediate(server, strategy="host_rewrite", force_live=True, soak_seconds=1)
    assert (result["failed"], result["changed"], result["left"]) == (True, True, [])
    assert "was taken back by helm, at 2026-11-24T20:00:00Z" in result["msg"]
    assert result["msg"].endswith("Nothing of the fix stands.")


@pytest.mark.parametrize("seconds", [-1, 601])
def test_the_soak_is_bounded(server: ApiServer, seconds: int) -> None:
    load(server)
    assert refused(server, soak_seconds=seconds)["msg"] == "soak_seconds must be from 0 to 600."
