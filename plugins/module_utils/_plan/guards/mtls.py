# SPDX-License-Identifier: GPL-3.0-or-later
"""Never weaker mTLS: no server that accepts more than before, no client that protects less."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import MTLS, Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import (
    DISABLE,
    PERMISSIVE,
    STRICT,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State

_STRENGTH = {DISABLE: 0, PERMISSIVE: 1, STRICT: 2}
# Settings that take traffic out of the sidecar or out of TLS, wherever they stand in a change.
_WEAKENING = ("excludeInboundPorts", "excludeOutboundPorts", "sidecar.istio.io/inject")
_PLAIN_MODES = (DISABLE, PERMISSIVE)


def check(before: State, after: State, changes: tuple[Change, ...]) -> Iterator[Objection]:
    for old, new in zip(before.path.hops, after.path.hops, strict=False):
        if _accepts_less(old, new):
            yield Objection(f"{new.step.server.name} would accept weaker mTLS on port {new.step.port.number}.")
        if old.transport.mode == MTLS != new.transport.mode:
            yield Objection(f"{new.step.client.name} would speak {new.transport.mode} to {new.step.service.name}.")
    for change in changes:
        weak = _weak_words(change)
        if weak:
            yield Objection(f"{change.target} would get {weak}, which takes protection away.")


def _accepts_less(old: Hop, new: Hop) -> bool:
    was, becomes = dict(old.modes), dict(new.modes)
    return any(_STRENGTH[becomes[pod].mode] < _STRENGTH[mode.mode] for pod, mode in was.items() if pod in becomes)


def _weak_words(change: Change) -> str:
    """The first setting in what a change writes that weakens mTLS; "" where there is none."""
    written = [operation.get("value") for operation in change.patch if operation["op"] != "test"]
    for value in (*written, change.body):
        for key, entry in _leaves(value):
            if any(word in key for word in _WEAKENING) or (key == "mode" and entry in _PLAIN_MODES):
                return f"{key}: {entry}"
    return ""


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _leaves(entry, objects.text(name))
    elif isinstance(value, list):
        for entry in value:
            yield from _leaves(entry, key)
    else:
        yield key, value
