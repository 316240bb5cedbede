# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import executor, journal, reverter
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.executor import ApplyError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Facts, Journal
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import find
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import record as records
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.tests.unit._apply.cluster import (
    NEW_ARGS,
    NS,
    OLD_ARGS,
    Controller,
    deployment_change,
    service_change,
    virtual_service_change,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, Request, status

FACTS = Facts("path-1", "Deployment/monitoring/grafana", "service_protocol", "tcp", "hash-1")


@pytest.fixture
def controller(server: ApiServer) -> Controller:
    return Controller(server)


def begin(client: Client, *changes: Change) -> Journal:
    return journal.begin(client, NS, FACTS, changes)


def run(client: Client, controller: Controller, *changes: Change) -> Journal:
    record = begin(client, *changes)
    executor.execute(client, record, 30, controller.clock())
    return record


def app_protocol(server: ApiServer) -> str | None:
    return server.stored("Service", NS, "prometheus")["spec"]["ports"][0].get("appProtocol")


def args(server: ApiServer) -> list[str]:
    return server.stored("Deployment", NS, "proxy")["spec"]["template"]["spec"]["containers"][0]["args"]


def stored(server: ApiServer, record: Journal) -> dict[str, str]:
    return server.stored("ConfigMap", NS, record.name)["data"]


def states(server: ApiServer, record: Journal) -> list[str]:
    return [entry["state"] for entry in json.loads(stored(server, record)["changes"])]


def test_dry_run_stores_nothing(server: ApiServer, client: Client) -> None:
    changes = [service_change(server), deployment_change(server), virtual_service_change()]
    before = json.dumps(list(server.objects.values()))
    results = executor.dry_run(client, changes)
    assert [found["kind"] for found in results] == ["Service", "Deployment", "VirtualService"]
    assert results[0]["spec"]["ports"][0]["appProtocol"] == "tcp"
    assert json.dumps(list(server.objects.values())) == before
    assert server.writes() == []


def test_a_plan_that_no_longer_fits_is_refused(server: ApiServer, client: Client) -> None:
    planned = deployment_change(server)
    server.stored("Deployment", NS, "proxy")["spec"]["template"]["spec"]["containers"][0]["args"] = ["--other"]
    with pytest.raises(
        ApplyError, match=r"^Deployment/monitoring/proxy is no longer as it was .*Nothing was changed\.$"
    ):
        executor.dry_run(client, [planned])


def test_an_admission_webhook_that_alters_our_fields_is_seen(server: ApiServer, client: Client) -> None:
    planned = service_change(server)
    altered = {**server.stored("Service", NS, "prometheus"), "spec": {"ports": [{"appProtocol": "http"}]}}
    server.once(Answer(200, altered), "PATCH")
    with pytest.raises(ApplyError, match="An admission webhook alters what is to be written to Service/monitoring/"):
        executor.dry_run(client, [planned])


def test_a_policy_that_refuses_the_dry_run_is_quoted(server: ApiServer, client: Client) -> None:
    planned = service_change(server)
    message = 'admission webhook "gate.example.com" denied the request: no appProtocol here'
    server.once(Answer(403, status(403, "Forbidden", message)), "PATCH")
    with pytest.raises(ApplyError, match="denied the request: no appProtocol here"):
        executor.dry_run(client, [planned])


def test_the_journal_stands_before_the_first_write(server: ApiServer, client: Client, controller: Controller) -> None:
    record = run(client, controller, service_change(server))
    kinds = [(write.method, write.path.split("/")[-2]) for write in server.writes()]
    assert kinds[:3] == [("POST", NS), ("PATCH", "configmaps"), ("PATCH", "services")]
    marked = json.loads(server.writes()[1].body[1]["value"]["changes"])
    assert marked[0]["state"] == "writing"
    assert app_protocol(server) == "tcp"
    data = stored(server, record)
    assert (data["state"], data["strategy"], data["plan_hash"]) == ("applied", "service_protocol", "hash-1")
    assert "@" in data["who"]
    metadata = server.stored("ConfigMap", NS, record.name)["metadata"]
    assert metadata["labels"]["istio-remediation.meshops/path"] == "path-1"


def test_a_rollout_is_waited_for(server: ApiServer, client: Client, controller: Controller) -> None:
    record = run(client, controller, deployment_change(server))
    assert args(server) == NEW_ARGS
    assert controller.steps == []
    assert stored(server, record)["state"] == "applied"


def test_a_program_that_does_not_know_the_flag_is_undone(server: ApiServer, client: Client) -> None:
    controller = Controller(server, crash_on=NEW_ARGS)
    server.logs[NS, "proxy-2", "proxy"] = (
        "flag provided but not defined: -rewrite-host-header-to\nUsage of proxy:\n  -x\n"
    )
    record = begin(client, deployment_change(server))
    with pytest.raises(ApplyError) as error:
        executor.execute(client, record, 30, controller.clock())
    assert str(error.value) == (
        "Container proxy of the new Pod monitoring/proxy-2 of Deployment/monitoring/proxy ends with exit code 2: "
        "flag provided but not defined: -rewrite-host-header-to. Taken back: Deployment/monitoring/proxy."
    )
    assert args(server) == OLD_ARGS
    assert stored(server, record)["state"] == "reverted"
    assert "exit code 2" in stored(server, record)["note"]


def test_a_rollout_that_stalls_ends_at_the_deadline(server: ApiServer, client: Client, controller: Controller) -> None:
    record = begin(client, deployment_change(server))
    controller.saw = lambda _verb, _object: None
    server.on_write = controller.saw
    with pytest.raises(ApplyError, match="did not finish its rollout within 30 seconds: its controller has not seen"):
        executor.execute(client, record, 30, controller.clock())
    assert args(server) == OLD_ARGS


def test_a_failed_write_takes_the_earlier_ones_back(server: ApiServer, client: Client, controller: Controller) -> None:
    changes = [service_change(server), virtual_service_change()]
    record = begin(client, *changes)
    server.forbid("POST", "virtualservices")
    with pytest.raises(ApplyError, match=r"Not allowed to create VirtualService .*Taken back: Service/monitoring/prom"):
        executor.execute(client, record, 30, controller.clock())
    assert app_protocol(server) is None
    assert states(server, record) == ["reverted", "pending"]
    assert stored(server, record)["state"] == "reverted"


def test_what_cannot_be_taken_back_is_said(server: ApiServer, client: Client, controller: Controller) -> None:
    record = begin(client, service_change(server), virtual_service_change())

    def meddle(_verb: str, written: dict) -> None:
        if written["kind"] == "Service":
            written["spec"]["ports"][0]["appProtocol"] = "http"

    server.on_write = meddle
    server.forbid("POST", "virtualservices")
    with pytest.raises(ApplyError) as error:
        executor.execute(client, record, 30, controller.clock())
    assert error.value.left[0] == (
        "Service/monitoring/prometheus was changed by someone else since, so it is left as it is: "
        'spec.ports[9090].appProtocol was absent, we wrote "tcp", now it is "http".'
    )
    assert "Not taken back: Service/monitoring/prometheus was changed" in str(error.value)
    assert app_protocol(server) == "http"
    assert stored(server, record)["state"] == "failed"


def lose_answer(server: ApiServer, path: str) -> None:
    """The next PATCH of this path is carried out, but its answer breaks off."""
    lost: list[Request] = []

    def fault(request: Request) -> Answer | None:
        if lost or request.method != "PATCH" or path not in request.path or "dryRun" in request.query:
            return None
        lost.append(request)
        server.faults.remove(fault)
        server.requests.pop()
        return server.answer(request)._replace(cut=2)

    server.faults.append(fault)


def test_a_write_whose_answer_is_lost_is_not_done_twice(
    server: ApiServer, client: Client, controller: Controller
) -> None:
    planned = service_change(server)
    lose_answer(server, "services")
    record = run(client, controller, planned)
    assert app_protocol(server) == "tcp"
    assert states(server, record) == ["applied"]
    assert len([write for write in server.writes() if "services" in write.path]) == 1


def test_a_conflict_is_tried_once_more(server: ApiServer, client: Client, controller: Controller) -> None:
    planned = service_change(server)
    server.once(Answer(409, status(409, "Conflict", "the object has been modified")), "PATCH", "services")
    run(client, controller, planned)
    assert app_protocol(server) == "tcp"


def test_revert_restores_in_reverse_order_pods_last_and_once(
    server: ApiServer, client: Client, controller: Controller
) -> None:
    changes = [service_change(server), deployment_change(server), virtual_service_change()]
    run(client, controller, *changes)
    record = find.newest(client, NS, "path-1")
    assert record is not None
    possible, left = reverter.rehearse(client, Journal(client, record))
    assert ([str(change.target) for change in possible], left) == (
        ["VirtualService/monitoring/alias", "Service/monitoring/prometheus", "Deployment/monitoring/proxy"],
        [],
    )
    assert app_protocol(server) == "tcp"
    done = reverter.revert(client, Journal(client, record), 30, controller.clock())
    restored = tuple(str(change.target) for change in possible)
    assert done == reverter.Reverted(restored, restored)
    assert (app_protocol(server), args(server)) == (None, OLD_ARGS)
    assert ("virtualservices", NS, "alias") not in server.objects
    assert stored(server, record)["state"] == "reverted"
    assert find.newest(client, NS, "path-1") is None


def test_a_run_that_was_killed_between_write_and_journal_is_taken_back(server: ApiServer, client: Client) -> None:
    planned = service_change(server)
    record = begin(client, planned, virtual_service_change())
    record.mark(0, records.WRITING)
    executor._write(client, planned)
    found = find.newest(client, NS, "path-1")
    assert found is not None
    done = reverter.revert(client, Journal(client, found), 30, Controller(server).clock())
    assert done.restored == ("Service/monitoring/prometheus",)
    assert app_protocol(server) is None


def test_a_run_that_was_killed_before_its_write_leaves_nothing_to_do(server: ApiServer, client: Client) -> None:
    record = begin(client, service_change(server), virtual_service_change())
    record.mark(0, records.WRITING)
    assert reverter.revert(client, record, 30, Controller(server).clock()) == reverter.Reverted()
    assert stored(server, record)["state"] == "reverted"


def test_who_took_the_change_back_before_is_named(server: ApiServer, client: Client) -> None:
    record = begin(client, service_change(server))
    executor.execute(client, record, 30, Controller(server).clock())
    service = server.stored("Service", NS, "prometheus")
    del service["spec"]["ports"][0]["appProtocol"]
    service["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "time": "2026-01-01T00:00:02Z"},
        {"manager": "meshops.istio_remediation", "time": "2026-01-01T00:00:01Z"},
        {"manager": "status-writer", "time": "2026-01-01T00:00:03Z", "subresource": "status"},
    ]
    done = reverter.revert(client, record, 30, Controller(server).clock())
    [sentence] = done.already
    assert sentence.startswith("Somebody had taken Service/monitoring/prometheus back before: argocd-controller was ")
    assert sentence.endswith(", at 2026-01-01T00:00:02Z.")
    assert (done.written, done.left) == ((), ())


@pytest.mark.parametrize(
    ("meddle", "why"),
    [
        (lambda o: o["spec"]["http"].append({}), "was changed by someone else since"),
        (lambda o: o["metadata"].__setitem__("uid", "another"), "was created anew by someone else"),
    ],
)
def test_a_created_object_that_is_not_ours_any_more_stays(
    server: ApiServer, client: Client, controller: Controller, meddle: object, why: str
) -> None:
    record = run(client, controller, virtual_service_change())
    meddle(server.stored("VirtualService", NS, "alias"))
    done = reverter.revert(client, record, 30, controller.clock())
    assert done.restored == ()
    assert why in done.left[0]
    assert ("virtualservices", NS, "alias") in server.objects
    assert stored(server, record)["state"] == "failed"


def test_an_owner_that_writes_it_back_is_noticed(server: ApiServer, client: Client, controller: Controller) -> None:
    record = run(client, controller, service_change(server))

    def gitops(_verb: str, written: dict) -> None:
        if written["kind"] == "Service":
            written["spec"]["ports"][0]["appProtocol"] = "tcp"

    server.on_write = gitops
    done = reverter.revert(client, record, 30, controller.clock())
    assert "was written back but does not stand as before" in done.left[0]


def test_a_deleted_object_is_reported(server: ApiServer, client: Client, controller: Controller) -> None:
    record = run(client, controller, service_change(server))
    del server.objects["services", NS, "prometheus"]
    done = reverter.revert(client, record, 30, controller.clock())
    assert done.left == (
        "Service/monitoring/prometheus does not exist any more, so there is nothing to restore it in.",
    )


def test_only_the_paths_own_open_journals_count(server: ApiServer, client: Client, controller: Controller) -> None:
    run(client, controller, service_change(server))
    assert find.newest(client, NS, "path-2") is None
    newest = find.newest(client, NS, "path-1")
    assert newest is not None
    assert find.load(client, NS, newest.name, "path-1").name == newest.name
    with pytest.raises(records.JournalError, match="is about Deployment/monitoring/grafana, not about the Grafana"):
        find.load(client, NS, newest.name, "path-2")


def test_a_config_map_that_is_no_journal(server: ApiServer, client: Client) -> None:
    server.add("ConfigMap", NS, "settings", data={})
    with pytest.raises(records.JournalError, match="is no journal of this collection"):
        find.load(client, NS, "settings", "path-1")
    labels = {"istio-remediation.meshops/journal": "true", "istio-remediation.meshops/path": "path-1"}
    server.add("ConfigMap", NS, "broken", labels=labels, data={"state": "applied", "changes": "[{"})
    with pytest.raises(KubeError, match="ConfigMap monitoring/broken is no journal that can be read"):
        find.newest(client, NS, "path-1")
