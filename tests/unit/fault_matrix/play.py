# SPDX-License-Identifier: GPL-3.0-or-later
"""One run with one fault, judged: nothing lost, nothing left behind, nothing claimed that is not so."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol
from unittest import mock

from ansible.module_utils.basic import AnsibleModule
from fault_matrix.killing import Killed, killing
from fault_matrix.rows import WRITES, Row

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push, rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import JOURNAL_LABEL, OPEN
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import retry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import probe
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Request, is_dry, is_review
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module

# By plural, namespace and name.
Objects = dict[tuple[str, str, str], dict[str, Any]]

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
        mock.patch.object(probe, "FLUSH_SECONDS", 0.001),
        mock.patch.object(probe, "CLOCK_SECONDS", 0.0),
    ):
        yield


@contextlib.contextmanager
def gathering(warnings: list[str]) -> Iterator[None]:
    """What modules warn of goes into the list, while the block runs, and is not shown.

    Ansible keeps them for the process, which is one run elsewhere, and may show them on the screen.
    """
    with mock.patch.object(AnsibleModule, "warn", lambda _module, text: warnings.append(text)):
        yield


class Stage(Protocol):
    """An API server on which a path is ill.

    options: of the modules that are to act there. keeps_uids: whether an object that is brought about again keeps its.
    """

    options: dict[str, Any]
    keeps_uids: bool

    def objects(self) -> Objects:
        """Whatever a run may write to, or leave behind."""

    def restore(self, objects: Objects) -> None:
        """Bring exactly these objects about again, and forget all requests."""

    def requests(self) -> list[Request]:
        """What was asked of the API server since then."""

    def committed(self) -> list[Request]:
        """Those of them that stored something, whatever became of the answer."""

    def expire_locks(self) -> None:
        """Whoever holds a Lease has not renewed it for too long."""

    def striking(self, row: Row, index: int) -> AbstractContextManager[None]:
        """Harm the call of this index, counted from here."""


class Play:
    """A strategy on its stage, played again and again from the same beginning."""

    def __init__(self, stage: Stage, strategy: Strategy, state: str) -> None:
        """state: `applied` begins with an ill path, `reverted` with a cured one."""
        self._stage, self._strategy, self._state = stage, strategy, state
        self._warnings: list[str] = []
        self._uids = {obj["metadata"]["uid"] for obj in stage.objects().values()}
        self.original = self._mesh()
        self.targets: set[str] = set()
        self._beginning = stage.objects()
        self._anew = state == "reverted" and not stage.keeps_uids
        if state == "reverted":
            self._learn(self._run("applied"))
        cured = stage.objects()
        self._beginning = self._beginning if self._anew else cured
        self.before = self._mesh()
        stage.restore(cured)
        self._learn(self._run(state))
        self.after = self._mesh()
        self.calls = stage.requests()
        self.writes = [number for number, call in enumerate(self.calls) if is_write(call) and not is_dry(call)]
        # All before is reading.
        self.first_lock = next(number for number, call in enumerate(self.calls) if "/leases" in call.path)

    def _learn(self, result: dict[str, Any]) -> None:
        if result.get("failed") or not result["changed"]:
            raise AssertionError(f"{self._strategy.name} does not play without a fault: {result}")
        self.targets |= {change["target"] for change in result["changes"]}

    def _run(self, state: str) -> dict[str, Any]:
        options = self._strategy.options if state == "applied" else {}
        self._warnings.clear()
        with gathering(self._warnings):
            return run_module(query_path_remediation, state=state, **self._stage.options, **options)

    def struck(self, row: Row, first: int = 0) -> list[int]:
        """The calls, from this one on, that a fault strikes."""
        calls = enumerate(self.calls)
        return [index for index, call in calls if index >= first and row.strikes(index, index, call.method, call.path)]

    def faults(self, row: Row, index: int) -> list[str]:
        """What is wrong after a run with this fault at this call; empty where all is well."""
        stage = self._stage
        stage.restore(self._beginning)
        if self._anew:
            self._run("applied")
        result: dict[str, Any] | None = None
        with killing(row, index) if row.kills else stage.striking(row, index), contextlib.suppress(Killed):
            result = self._run(self._state)
        if row.kills != (result is None):
            return ["the fault did not strike"]
        wrong = list(self._beyond_the_plan())
        if result is not None:
            wrong += self._untrue(result)
            wrong += self._left_locked(result)
        return [*wrong, *self._not_recovered()]

    def _mesh(self) -> str:
        """Everything but what is ours, without what counts writes and the uids of what came later."""
        found = sorted(self._stage.objects().items())
        kept = [obj for key, obj in found if key[0] not in (*OWN, *DERIVED)]
        for obj in kept:
            obj.pop("status", None)
            metadata = obj["metadata"]
            for field in ("resourceVersion", "generation", "managedFields", "creationTimestamp"):
                metadata.pop(field, None)
            metadata["uid"] = metadata["uid"] if metadata["uid"] in self._uids else "new"
        return json.dumps(kept, sort_keys=True)

    def _untrue(self, result: dict[str, Any]) -> Iterator[str]:
        stands = self._mesh()
        # Also what was taken back at once: pods may have been replaced for it.
        changed = any(written_to(request)[0] not in OWN for request in self._stage.committed())
        # What may have been written counts as changed, where it is said to be unknown.
        unknown = any(text.startswith("It is unknown whether ") for text in result.get("left", []))
        if result.get("changed", False) is not changed and not (unknown and result["changed"]):
            yield f"false changed: says {result.get('changed')}, and it is {changed}"
        yield from no_clear_sentence(result)
        if not result.get("failed") and stands != self.after:
            yield "success is claimed, and the state is another one"
        differs = stands != self.before
        if result.get("failed") and self._state == "applied" and differs and not result.get("left"):
            yield "failed half way without saying what is left"

    def _left_locked(self, result: dict[str, Any]) -> Iterator[str]:
        if self._locks() and not lease_is_told(result, self._warnings, self._stage.requests()):
            yield "a Lease is left held"

    def _beyond_the_plan(self) -> Iterator[str]:
        places = {_place(target) for target in self.targets}
        for request in self._stage.requests():
            if is_write(request) and not is_dry(request):
                place = written_to(request)
                if place[0] not in OWN and place not in places:
                    yield f"write beyond the plan: {request.method} {request.path}"

    def _not_recovered(self) -> Iterator[str]:
        """When all is well again, whoever comes next can take back what was left, from another controller."""
        self._stage.expire_locks()
        stands = self._mesh()
        result = self._run("reverted")
        if result.get("failed"):
            yield f"lost: cannot be taken back: {result['msg']}"
        elif result["changed"] is not (stands != self._mesh()):
            yield "false changed when taking back"
        if self._mesh() != self.original:
            yield "lost: what stood before does not stand again"
        if self._locks():
            yield "orphan: a Lease after taking back"
        if any(record["data"]["state"] in OPEN for record in self._journals()):
            yield "orphan: an open journal after taking back"

    def _locks(self) -> list[str]:
        return [name for plural, _namespace, name in self._stage.objects() if plural == "leases"]

    def _journals(self) -> list[dict[str, Any]]:
        found = self._stage.objects().values()
        return [obj for obj in found if JOURNAL_LABEL in (obj["metadata"].get("labels") or {})]


def is_write(request: Request) -> bool:
    """Whether it is refused as a write is: dry runs are, access reviews are not."""
    return request.method in WRITES and not is_review(request)


def no_clear_sentence(result: dict[str, Any]) -> Iterator[str]:
    """Whether a result does not say in one sentence what was done or why not."""
    message = result.get("msg", "")
    if not message or "Traceback" in json.dumps(result) or "\n" in message:
        yield f"no clear sentence: {message!r}"


def lease_is_told(result: dict[str, Any], warnings: Iterable[str], requests: Iterable[Request]) -> bool:
    """Whether a run may leave a Lease: it says so, or could neither confirm that it holds it nor release it."""
    told = any("stays until it expires" in text for text in warnings)
    released = any(request.method == "DELETE" and "/leases/" in request.path for request in requests)
    return told or (bool(result.get("failed")) and not released)


def written_to(request: Request) -> tuple[str, str]:
    """Plural and name of what a request writes to."""
    parts = request.path.split("/")
    return (parts[-1], request.body["metadata"]["name"]) if request.method == "POST" else (parts[-2], parts[-1])


def _place(target: str) -> tuple[str, str]:
    kind, _namespace, name = target.split("/")
    return f"{kind.lower()}s", name
