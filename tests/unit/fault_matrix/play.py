# SPDX-License-Identifier: GPL-3.0-or-later
"""One run with one fault, judged: nothing lost, nothing left behind, nothing claimed that is not so."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

from ansible.module_utils.basic import AnsibleModule
from fault_matrix.rows import Killed, Row, is_write
from variations import destination_rule
from world import NS, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease, push, rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import JOURNAL_LABEL, OPEN
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import retry
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, Request, _dry
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

# What a run itself keeps in the cluster, and what follows from the objects that it writes.
OWN = ("configmaps", "leases")
DERIVED = ("pods",)


class Strategy(NamedTuple):
    """name: for people. options: of the module. mtls: the path is ill by its DestinationRule, not by the Host."""

    name: str
    options: dict[str, Any]
    mtls: bool = False


STRATEGIES = (
    Strategy("host_rewrite", {"strategy": "host_rewrite"}),
    Strategy("route_alias", {"strategy": "route_alias"}),
    Strategy("service_protocol auto", {"strategy": "service_protocol"}),
    Strategy("service_protocol tcp", {"strategy": "service_protocol", "protocol": "tcp", "annotate": True}),
    Strategy("destination_rule", {"strategy": "destination_rule"}, mtls=True),
)


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Nothing takes time to come into effect, and retries follow at once."""
    with (
        mock.patch.object(retry, "_FIRST_WAIT", 0.0),
        mock.patch.object(push, "BLIND_SECONDS", 0.0),
        mock.patch.object(push, "POLL", 0.001),
        mock.patch.object(push, "ROUTES_SECONDS", 0.0),
        mock.patch.object(rollout, "POLL", 0.001),
    ):
        yield


class Play:
    """A strategy on its stage, played again and again from the same beginning."""

    def __init__(self, server: ApiServer, strategy: Strategy, state: str) -> None:
        """state: `applied` begins with an ill path, `reverted` with a cured one."""
        self._server, self._strategy, self._state = server, strategy, state
        server.objects.clear()
        server.logs.clear()
        world = World()
        if strategy.mtls:
            destination_rule({"mode": "DISABLE"})(world)
        load(server, world)
        self._uids = {obj["metadata"]["uid"] for obj in server.objects.values()}
        self.original = self._mesh()
        self.targets: set[str] = set()
        if state == "reverted":
            self._learn(self._run("applied"))
        self._beginning = copy.deepcopy(server.objects)
        self.before = self._mesh()
        server.requests.clear()
        result = self._run(state)
        self._learn(result)
        self.after = self._mesh()
        self.calls = len(server.requests)
        self.writes = [
            number for number, request in enumerate(server.requests) if is_write(request) and not _dry(request)
        ]
        locked = [number for number, request in enumerate(server.requests) if "/leases" in request.path]
        # All before is reading.
        self.first_lock = locked[0]

    def _learn(self, result: dict[str, Any]) -> None:
        if result.get("failed") or not result["changed"]:
            raise AssertionError(f"{self._strategy.name} does not play without a fault: {result}")
        self.targets |= {change["target"] for change in result["changes"]}

    def _run(self, state: str) -> dict[str, Any]:
        options = self._strategy.options if state == "applied" else {}
        given = {"host": self._server.url, "api_key": "token", "grafana_namespace": NS, "state": state, **options}
        self._warnings: list[str] = []
        # Ansible keeps them for the process, which is one run elsewhere, and may show them on the screen.
        with mock.patch.object(AnsibleModule, "warn", lambda _module, text: self._warnings.append(text)):
            return run_module(query_path_remediation, wait_timeout=1, **given)

    def faults(self, row: Row, index: int) -> list[str]:
        """What is wrong after a run with this fault at this call; empty where all is well."""
        server = self._server
        server.objects = copy.deepcopy(self._beginning)
        server.ahead = 0.0
        server.requests.clear()
        result: dict[str, Any] | None = None
        with row.fault(server, index), contextlib.suppress(Killed):
            result = self._run(self._state)
        if row.kills != (result is None):
            return [] if index >= self.calls else ["the fault did not strike"]
        wrong = list(self._beyond_the_plan())
        if result is not None:
            wrong += self._untrue(result)
            wrong += self._left_locked(result)
        return [*wrong, *self._not_recovered()]

    def _mesh(self) -> str:
        """Everything but what is ours, without what counts writes and the uids of what came later."""
        found = sorted(self._server.objects.items())
        kept = copy.deepcopy([obj for key, obj in found if key[0] not in (*OWN, *DERIVED)])
        for obj in kept:
            obj.pop("status", None)
            metadata = obj["metadata"]
            for field in ("resourceVersion", "generation", "managedFields"):
                metadata.pop(field, None)
            metadata["uid"] = metadata["uid"] if metadata["uid"] in self._uids else "new"
        return json.dumps(kept, sort_keys=True)

    def _untrue(self, result: dict[str, Any]) -> Iterator[str]:
        stands = self._mesh()
        changed = stands != self.before
        # What may have been written counts as changed, where it is said to be unknown.
        unknown = any(text.startswith("It is unknown whether ") for text in result.get("left", []))
        if result.get("changed", False) is not changed and not (unknown and result["changed"]):
            yield f"false changed: says {result.get('changed')}, and it is {changed}"
        message = result.get("msg", "")
        if not message or "Traceback" in json.dumps(result) or "\n" in message:
            yield f"no clear sentence: {message!r}"
        if not result.get("failed") and stands != self.after:
            yield "success is claimed, and the state is another one"
        if result.get("failed") and self._state == "applied" and changed and not result.get("left"):
            yield "failed half way without saying what is left"

    def _left_locked(self, result: dict[str, Any]) -> Iterator[str]:
        told = any("stays until it expires" in text for text in self._warnings)
        if locks(self._server) and not told and not _unreachable(self._server, result):
            yield "a Lease is left held"

    def _beyond_the_plan(self) -> Iterator[str]:
        for request in self._server.writes():
            place = _written(request)
            if place[0] not in OWN and place not in {_place(target) for target in self.targets}:
                yield f"write beyond the plan: {request.method} {request.path}"

    def _not_recovered(self) -> Iterator[str]:
        """When all is well again, whoever comes next can take back what was left, from another controller."""
        server = self._server
        server.ahead = lease.DURATION + 1
        stands = self._mesh()
        result = self._run("reverted")
        if result.get("failed"):
            yield f"lost: cannot be taken back: {result['msg']}"
        elif result["changed"] is not (stands != self._mesh()):
            yield "false changed when taking back"
        if self._mesh() != self.original:
            yield "lost: what stood before does not stand again"
        if locks(server):
            yield "orphan: a Lease after taking back"
        if any(record["data"]["state"] in OPEN for record in _journals(server)):
            yield "orphan: an open journal after taking back"


def locks(server: ApiServer) -> list[str]:
    return [name for plural, _namespace, name in server.objects if plural == "leases"]


def _journals(server: ApiServer) -> list[dict[str, Any]]:
    return [obj for obj in server.objects.values() if JOURNAL_LABEL in (obj["metadata"].get("labels") or {})]


def _unreachable(server: ApiServer, result: dict[str, Any]) -> bool:
    """Whether the lock could be neither confirmed nor released: it expires then."""
    deletes = [request for request in server.requests if request.method == "DELETE" and "/leases/" in request.path]
    return bool(result.get("failed")) and not deletes


def _written(request: Request) -> tuple[str, str]:
    """Plural and name of what a request writes to."""
    parts = request.path.split("/")
    return (parts[-1], request.body["metadata"]["name"]) if request.method == "POST" else (parts[-2], parts[-1])


def _place(target: str) -> tuple[str, str]:
    kind, _namespace, name = target.split("/")
    return f"{kind.lower()}s", name
