# SPDX-License-Identifier: GPL-3.0-or-later
"""Never another client changed unnoticed: what a Service's protocol means to all who use the port is said."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import inbound, protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect


def check(before: State, after: State, _changes: tuple[Change, ...]) -> Iterator[Objection]:
    for old, new in zip(before.path.hops, after.path.hops, strict=False):
        if old.protocol.kind == new.protocol.kind:
            continue
        service, number = new.step.service, new.step.port.number
        named = f"Service/{service.namespace}/{service.name}"
        if new.protocol.kind == protocol.TCP:
            text = (
                f"Every client of {service.name}:{number} loses HTTP routing, retries, per-request metrics and access "
                "logs on this port."
            )
            yield Objection(effect=Effect("loses_l7", named, text))
        deciding, _port = inbound.deciding(new.step)
        if deciding != service:
            text = f"The server's sidecar keeps following the older Service {deciding.name}; only clients change."
            yield Objection(effect=Effect("client_side_only", f"Service/{deciding.namespace}/{deciding.name}", text))
