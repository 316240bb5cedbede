# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run inside of this process at one of its API calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from fault_matrix.rows import KILL_AFTER, Row

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.transport import Response, Transport


class Killed(BaseException):
    """The process ends here: no handler of ours sends a request after it, as after SIGKILL."""


@contextmanager
def killing(row: Row, index: int) -> Iterator[None]:
    """Raise Killed before or after the call of this index, and before every later one, while the block runs."""
    after = row.does == KILL_AFTER
    sent: list[Transport] = []
    dead: list[bool] = []
    count, once = Transport.count_request, Transport._once

    def counted(transport: Transport) -> None:
        sent.append(transport)
        if dead or (not after and len(sent) > index):
            dead.append(True)
            raise Killed
        count(transport)

    def answered(transport: Transport, *arguments: Any) -> Response:
        response = once(transport, *arguments)
        if after and len(sent) > index:
            dead.append(True)
            raise Killed
        return response

    with mock.patch.object(Transport, "count_request", counted), mock.patch.object(Transport, "_once", answered):
        yield
