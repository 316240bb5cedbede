# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a way around the label proxy: every server of the path stays on it, for this client and for others.

Measured: docs/truth-table.md row 9b2 (a VirtualService without a port match takes the proxy's own port to Prometheus:
200, and every tenant's series).
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State

# A ServiceEntry with the proxy's host makes Prometheus an endpoint of it; an EnvoyFilter can do anything.
_NEVER_WRITTEN = ("ServiceEntry", "EnvoyFilter")


def check(before: State, after: State, changes: tuple[Change, ...]) -> Iterator[Objection]:
    was = [str(hop.step.server) for hop in before.path.hops]
    becomes = [str(hop.step.server) for hop in after.path.hops]
    if was != becomes:
        yield Objection(f"The path would change from {' -> '.join(was)} to {' -> '.join(becomes)}.")
    labels = [hop.step.relay.tenant_label for hop in before.path.hops]
    if labels != [hop.step.relay.tenant_label for hop in after.path.hops]:
        yield Objection("A proxy on the path would no longer enforce its label.")
    for change in changes:
        if change.target.kind in _NEVER_WRITTEN:
            yield Objection(f"{change.target} could take the proxy out of the path of other clients.")
        if change.target.kind == "VirtualService" and not _narrow(change):
            yield Objection(f"{change.target} would route other ports or other clients too.")


def _narrow(change: Change) -> bool:
    """Whether every HTTP rule of a new VirtualService is bound to a port and to a client."""
    rules = [objects.mapping(rule) for rule in objects.sequence(objects.spec(change.body).get("http"))]
    matches = [[objects.mapping(entry) for entry in objects.sequence(rule.get("match"))] for rule in rules]
    return bool(matches) and all(
        bool(entries) and all(entry.get("port") and entry.get("sourceLabels") for entry in entries)
        for entries in matches
    )
