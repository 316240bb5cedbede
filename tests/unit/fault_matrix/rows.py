# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong at one API call, each as a Row: what the API server does there, or when the run is killed.

Calls are counted from 0, reads, dry runs, access reviews, retries and streams included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.transport import Response, Transport
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    Answer,
    ApiServer,
    Request,
    status,
)

WRITES = frozenset({"POST", "PATCH", "DELETE"})


class Killed(BaseException):
    """The process ends here: no handler of ours runs a request after it, as after SIGKILL."""


class Row(NamedTuple):
    """name: for people. fault: installs itself for the call of an index. kills: the run ends there."""

    name: str
    fault: Callable[[ApiServer, int], Any]
    kills: bool = False


def is_write(request: Request) -> bool:
    """Whether it may be refused as a write is: dry runs are, access reviews are not."""
    return request.method in WRITES and "/authorization.k8s.io/" not in request.path


@contextmanager
def _at_server(
    server: ApiServer, index: int, answer: Callable[[Request], Answer | None], lasting: bool
) -> Iterator[None]:
    seen: list[Request] = []

    def fault(request: Request) -> Answer | None:
        seen.append(request)
        number = len(seen) - 1
        return answer(request) if number == index or (lasting and number > index) else None

    server.faults.append(fault)
    try:
        yield
    finally:
        server.faults.remove(fault)


def _answers(code: int, reason: str, message: str, writes: frozenset[str] | None = None, lasting: bool = False) -> Any:
    """The API server answers so, to writes by these methods only where they are given."""
    headers = (("Retry-After", "0"),) if code == 429 else ()
    refusal = Answer(code, status(code, reason, message), headers)

    def answer(request: Request) -> Answer | None:
        return refusal if writes is None or (request.method in writes and is_write(request)) else None

    return lambda server, index: _at_server(server, index, answer, lasting)


def _spoils(spoil: Callable[[Answer], Answer]) -> Any:
    """The API server does what it is asked to, but its answer does not arrive whole."""

    def install(server: ApiServer, index: int) -> Any:
        def answer(request: Request) -> Answer:
            faults, server.faults = server.faults, []
            try:
                return spoil(server.answer(request))
            finally:
                server.faults = faults

        return _at_server(server, index, answer, lasting=False)

    return install


def _truncated(answer: Answer) -> Answer:
    raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    return answer._replace(body=raw[: len(raw) // 2])


def _kills(after: bool) -> Any:
    @contextmanager
    def install(_server: ApiServer, index: int) -> Iterator[None]:
        calls: list[int] = []
        original = Transport._once
        count = Transport.count_request
        dead: list[bool] = []

        def counted(transport: Transport) -> None:
            calls.append(len(calls))
            if dead or (not after and calls[-1] >= index):
                dead.append(True)
                raise Killed
            count(transport)

        def once(transport: Transport, *arguments: Any) -> Response:
            response = original(transport, *arguments)
            if after and calls[-1] >= index:
                dead.append(True)
                raise Killed
            return response

        with (
            mock.patch.object(Transport, "count_request", counted),
            mock.patch.object(Transport, "_once", once),
        ):
            yield

    return install


DENIED = 'admission webhook "gate.example.com" denied the request: not today'
ROWS = (
    Row("killed before the call", _kills(after=False), kills=True),
    Row("killed after the call", _kills(after=True), kills=True),
    Row("409 to a write", _answers(409, "Conflict", "the object has been modified", WRITES)),
    Row("429 with Retry-After", _answers(429, "TooManyRequests", "too many requests")),
    Row("500", _answers(500, "InternalError", "etcdserver: leader changed")),
    Row("503", _answers(503, "ServiceUnavailable", "apiserver is shutting down")),
    Row("503 from here on", _answers(503, "ServiceUnavailable", "apiserver is shutting down", lasting=True)),
    Row("reset after the server committed", _spoils(lambda answer: answer._replace(cut=1))),
    Row("truncated JSON", _spoils(_truncated)),
    Row("403 to patch", _answers(403, "Forbidden", "cannot patch", frozenset({"PATCH"}))),
    Row("403 to patch from here on", _answers(403, "Forbidden", "cannot patch", frozenset({"PATCH"}), lasting=True)),
    Row("a webhook denies", _answers(403, "Forbidden", DENIED, WRITES)),
)
