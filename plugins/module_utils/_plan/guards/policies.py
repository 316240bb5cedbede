# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a policy whose meaning changes without consent to that very change.

Compares how each server handles its port before and after, and asks what that does to the policies that select it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    authorization,
    inbound,
    mesh,
    protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.authorization import PolicyEffect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect


def check(before: State, after: State, _changes: tuple[Change, ...]) -> Iterator[Objection]:
    """Raises NotReadError."""
    for old, new in zip(before.path.hops, after.path.hops, strict=False):
        was, becomes = _handled_as(old), _handled_as(new)
        if was == becomes or becomes == protocol.HTTP or new.step.server.mesh == "none":
            continue
        policies, problems = mesh.collect(before.snapshot, authorization.needs(before.path.mesh, new.step.server))
        for problem in problems:
            yield Objection(f"What this would do to policies cannot be told: {problem}.")
        known = authorization.providers(before.path.mesh, before.snapshot, new.step.server, policies)
        for effect in authorization.on_tcp(new.step.server, policies, known):
            yield Objection(effect=_consent(effect, becomes))


def _handled_as(hop: Hop) -> str:
    """The protocol by which the server's sidecar handles the port."""
    _service, port = inbound.deciding(hop.step)
    return inbound.kind(port)


def _consent(effect: PolicyEffect, becomes: str) -> Effect:
    if becomes == protocol.TCP:
        return Effect(effect.effect, effect.policy, f"On new connections, {effect.text}.", needs_consent=True)
    text = (
        f"{effect.policy} keeps its meaning only for clients whose sidecar announces HTTP by ALPN, as Istio's own "
        f"proxy does; for others, {effect.text}."
    )
    return Effect(f"unless_alpn_{effect.effect}", effect.policy, text, needs_consent=True)
