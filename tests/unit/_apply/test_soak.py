# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written is watched: whoever takes it back is named, and nothing of the fix is left then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import executor
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.executor import ApplyError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import Facts, Journal, begin
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.tests.unit._apply.cluster import (
    NS,
    service_change,
    virtual_service_change,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer

FACTS = Facts("path-1", "Deployment/monitoring/grafana", "service_protocol", "tcp", "hash-1")
WHEN = "2026-11-24T20:00:00Z"


def recorded(client: Client, *changes: Change) -> Journal:
    return begin(client, NS, FACTS, changes)


def clock(at: float, owner: Callable[[], None]) -> Clock:
    """A clock on which an owner acts once, after so many seconds."""
    now = [0.0]
    acted: list[float] = []

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] >= at and not acted:
            acted.append(now[0])
            owner()

    return Clock(lambda: now[0], sleep)


def revert(server: ApiServer, manager: str) -> None:
    service = server.stored("Service", NS, "prometheus")
    del service["spec"]["ports"][0]["appProtocol"]
    service["metadata"]["managedFields"] = [{"manager": manager, "time": WHEN}] if manager else []


@pytest.mark.parametrize(
    ("manager", "named"),
    [("argocd-controller", f"argocd-controller, at {WHEN}"), ("", "someone whom no managed field names, at ")],
)
def test_who_takes_it_back_after_30_seconds_is_named(
    server: ApiServer, client: Client, manager: str, named: str
) -> None:
    record = recorded(client, service_change(server), virtual_service_change())
    with pytest.raises(ApplyError) as failed:
        executor.execute(client, record, 30, clock(40, lambda: revert(server, manager)), soak_seconds=60)
    message = str(failed.value)
    assert f"Service/monitoring/prometheus was taken back by {named}" in message
    assert 'spec.ports[9090].appProtocol was absent, we wrote "tcp", now it is absent' in message
    assert message.endswith("Taken back: VirtualService/monitoring/alias.")
    assert failed.value.left == ()
    assert ("virtualservices", NS, "alias") not in server.objects
    assert server.stored("ConfigMap", NS, record.name)["data"]["state"] == "reverted"


def test_where_the_owner_took_back_all_of_it_nothing_stands(server: ApiServer, client: Client) -> None:
    record = recorded(client, service_change(server))
    with pytest.raises(ApplyError, match=r"Nothing of the fix stands\.$"):
        executor.execute(client, record, 30, clock(40, lambda: revert(server, "helm")), soak_seconds=60)


def test_an_owner_who_writes_something_else_is_not_overwritten(server: ApiServer, client: Client) -> None:
    record = recorded(client, service_change(server))

    def owner() -> None:
        server.stored("Service", NS, "prometheus")["spec"]["ports"][0]["appProtocol"] = "http2"

    with pytest.raises(ApplyError, match='now it is "http2"') as failed:
        executor.execute(client, record, 30, clock(40, owner), soak_seconds=60)
    assert len(failed.value.left) == 1
    assert server.stored("Service", NS, "prometheus")["spec"]["ports"][0]["appProtocol"] == "http2"


def test_a_deleted_object_is_a_revert(server: ApiServer, client: Client) -> None:
    record = recorded(client, virtual_service_change())
    with pytest.raises(ApplyError, match="VirtualService/monitoring/alias was deleted by someone else"):
        executor.execute(
            client, record, 30, clock(40, lambda: server.objects.pop(("virtualservices", NS, "alias"))), soak_seconds=60
        )


@pytest.mark.parametrize("seconds", [0, 30])
def test_what_happens_after_the_soak_is_not_waited_for(server: ApiServer, client: Client, seconds: int) -> None:
    record = recorded(client, service_change(server))
    ticking = clock(1000, lambda: revert(server, "helm"))
    executor.execute(client, record, 30, ticking, soak_seconds=seconds)
    assert server.stored("ConfigMap", NS, record.name)["data"]["state"] == "applied"
    assert ticking.now() >= seconds
