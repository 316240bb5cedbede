# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a cure promised that an EnvoyFilter may undo: a hop that a fix changes is predicted by Istio's own resources.

What a patch makes of Envoy's configuration is not modelled, and no witness has seen the hop as it will be. So a filter
that can touch it needs consent, and the proof after the change tells. Hops that stay as they are keep their filters.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import envoy_filter, inbound, mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect

LATER = "Whether an EnvoyFilter touches what it relies on is looked at when it is applied."


def check(before: State, after: State, _changes: tuple[Change, ...]) -> Iterator[Objection]:
    """Raises NotReadError."""
    changed = [
        new for old, new in zip(before.path.hops, after.path.hops, strict=False) if _predicted(old) != _predicted(new)
    ]
    if not changed:
        return
    if before.filters_later:
        yield Objection(later=LATER)
        return
    needs = envoy_filter.needs(after.path)
    before.snapshot.require(*needs)
    filters, problems = mesh.collect(before.snapshot, needs)
    for problem in problems:
        yield Objection(f"Whether EnvoyFilters undo the fix cannot be told: {problem}.")
    for hop in changed:
        touches = envoy_filter.of_hop(after.path.mesh, hop, filters)
        for name in dict.fromkeys(touch.filter for touch in touches):
            patches = dict.fromkeys(f"{touch.patch} on {touch.sidecar}'s" for touch in touches if touch.filter == name)
            text = (
                f"{name} patches what queries to {hop.step.service.name}:{hop.step.port.number} meet once this is done "
                f"({', '.join(patches)} sidecar), so the cure is not promised: the proof after the change tells."
            )
            yield Objection(effect=Effect("may_undo_fix", name, text, needs_consent=True))


def _predicted(hop: Hop) -> tuple[object, ...]:
    """What sidecars do with a hop, apart from the words about it."""
    _service, deciding = inbound.deciding(hop.step)
    return (
        hop.host,
        hop.protocol.kind,
        hop.route._replace(why=""),
        hop.transport.mode,
        hop.modes,
        inbound.kind(deciding),
    )
