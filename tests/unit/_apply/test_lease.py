# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import executor, journal, lease
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import find, lock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.tests.unit._apply.cluster import (
    NS,
    Controller,
    deployment_change,
    service_change,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, Request, status
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import make_client

PATH = "path-1"
FACTS = journal.Facts(PATH, "Deployment/monitoring/grafana", "service_protocol", "tcp", "hash-1")


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.seconds, self.move)

    def move(self, seconds: float) -> None:
        self.seconds += seconds


def stored(server: ApiServer) -> dict:
    return server.stored("Lease", NS, lock.name(PATH))


def leases(server: ApiServer) -> list[str]:
    return [name for plural, _namespace, name in server.objects if plural == "leases"]


def test_a_second_run_is_told_who_holds_the_path_and_until_when(server: ApiServer, client: Client) -> None:
    lease.take(client, NS, PATH)
    spec = stored(server)["spec"]
    with pytest.raises(lease.HeldError) as error:
        lease.take(client, NS, PATH)
    since, until = lock.holder(stored(server))[1:]
    assert str(error.value) == (
        f"This path is being changed by {journal.who()} since {since:%Y-%m-%dT%H:%M:%SZ}; wait, or, should that run be "
        f"dead, try again after {until:%H:%M:%SZ}, when its Lease monitoring/istio-remediation-path-1 expires."
    )
    assert (until - since).total_seconds() == spec["leaseDurationSeconds"] == lease.DURATION
    lease.take(client, NS, "path-2")


def test_a_lease_is_deleted_at_the_end_of_a_failure_too(server: ApiServer, client: Client) -> None:
    seen: list[str] = []

    def fail() -> None:
        with lease.held(client, NS, PATH):
            seen.extend(leases(server))
            raise KubeError("no such luck")

    with pytest.raises(KubeError, match="no such luck"):
        fail()
    assert seen == [lock.name(PATH)]
    assert leases(server) == []


def test_an_expired_lease_is_taken_over_by_exactly_one_of_many(server: ApiServer, client: Client) -> None:
    lease.take(client, NS, PATH)
    dead = stored(server)["spec"]["holderIdentity"]
    server.ahead = lease.DURATION + 1
    looked = threading.Barrier(4)
    results: list[str] = []

    def contend() -> None:
        own = make_client(server)
        try:
            lease.take(own, NS, PATH)
            results.append("taken")
        except KubeError as error:
            results.append(type(error).__name__)
        own.transport.close()

    original = server.answer

    def answer(request: Request) -> Answer:
        """No takeover arrives before everyone has seen the expired Lease."""
        if request.method == "PATCH":
            looked.wait(timeout=5)
        return original(request)

    server.answer = answer
    threads = [threading.Thread(target=contend) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["HeldError", "HeldError", "HeldError", "taken"]
    spec = stored(server)["spec"]
    assert spec["holderIdentity"] != dead
    assert spec["leaseTransitions"] == 1


def test_only_one_of_many_creates_it(server: ApiServer, client: Client) -> None:
    original = exists = lease.exists
    seen: list[int] = []

    def late(*arguments: str) -> object:
        """Another run is faster between our look and our write."""
        found = exists(*arguments)
        if not seen:
            seen.append(1)
            lease.take(make_client(server), NS, PATH)
        return found

    lease.exists = late
    try:
        with pytest.raises(lease.HeldError):
            lease.take(client, NS, PATH)
    finally:
        lease.exists = original


def test_it_is_renewed_when_due_and_not_before(server: ApiServer, client: Client) -> None:
    watch = Watch()
    ours = lease.take(client, NS, PATH, watch.clock())
    first = stored(server)["spec"]["renewTime"]
    watch.move(lease.RENEW_AFTER - 1)
    ours.keep()
    assert stored(server)["spec"]["renewTime"] == first
    watch.move(1)
    server.ahead = lease.RENEW_AFTER
    ours.keep()
    spec = stored(server)["spec"]
    assert spec["renewTime"] > first
    assert spec["acquireTime"] == first
    ours.release()
    assert leases(server) == []


def test_waiting_for_a_rollout_renews_it(server: ApiServer, client: Client) -> None:
    controller = Controller(server)
    clock = controller.clock()

    def slow(seconds: float) -> None:
        clock.sleep(seconds + lease.RENEW_AFTER)

    record = journal.begin(client, NS, FACTS, [deployment_change(server)])
    ours = lease.take(client, NS, PATH, Clock(clock.now, slow))
    executor.execute(client, record, 300, Clock(clock.now, slow), ours.keep)
    renewals = [w for w in server.writes() if w.method == "PATCH" and "/leases/" in w.path]
    assert len(renewals) == 2


def test_a_run_that_was_taken_over_writes_nothing_more(server: ApiServer, client: Client) -> None:
    watch = Watch()
    record = journal.begin(client, NS, FACTS, [service_change(server)])
    ours = lease.take(client, NS, PATH, watch.clock())
    server.ahead = lease.DURATION + 1
    watch.move(lease.DURATION + 1)
    theirs = lease.take(make_client(server), NS, PATH)
    writes = len(server.writes())
    with pytest.raises(executor.ApplyError, match="was taken over by another run, so this one stopped") as error:
        executor.execute(client, record, 30, watch.clock(), ours.keep)
    assert error.value.left == ()
    ours.release()
    assert leases(server) == [lock.name(PATH)]
    assert [write for write in server.writes()[writes:] if "/leases/" not in write.path] == []
    theirs.release()
    assert leases(server) == []


def test_what_was_written_before_the_path_was_lost_stays_for_the_journal(server: ApiServer, client: Client) -> None:
    watch = Watch()
    changes = [service_change(server), deployment_change(server)]
    record = journal.begin(client, NS, FACTS, changes)
    ours = lease.take(client, NS, PATH, watch.clock())

    def taken_over(_verb: str, written: dict) -> None:
        if written["kind"] == "Service":
            stored(server)["spec"]["holderIdentity"] = "someone@else/1"
            watch.move(lease.RENEW_AFTER)

    server.on_write = taken_over
    with pytest.raises(executor.ApplyError) as error:
        executor.execute(client, record, 30, watch.clock(), ours.keep)
    assert error.value.left == ("Service/monitoring/prometheus.",)
    assert find.newest(client, NS, PATH).name == record.name


def test_a_renewal_that_fails_for_a_moment_is_not_the_end(server: ApiServer, client: Client) -> None:
    watch = Watch()
    ours = lease.take(client, NS, PATH, watch.clock())
    watch.move(lease.RENEW_AFTER)
    broken = Answer(500, status(500, "InternalError", "etcd is slow"))
    server.faults.append(lambda request: broken if request.method == "PATCH" else None)
    ours.keep()
    watch.move(lease.DURATION)
    with pytest.raises(lease.LostError, match="could not be renewed, so this run stopped"):
        ours.keep()


def test_a_lease_that_cannot_be_released_is_a_warning(server: ApiServer, client: Client) -> None:
    server.forbid("DELETE", "leases")
    with lease.held(client, NS, PATH):
        pass
    assert client.warnings[0].startswith(
        "Lease monitoring/istio-remediation-path-1 stays until it expires, for it was "
    )


def test_a_lease_whose_renewal_was_answered_too_late_is_released_all_the_same(
    server: ApiServer, client: Client
) -> None:
    ours = lease.take(client, NS, PATH)
    stored(server)["metadata"]["resourceVersion"] = "999"
    ours.release()
    assert leases(server) == []
