# SPDX-License-Identifier: GPL-3.0-or-later
"""Where someone else changed an object after us: what stood before, what we wrote, and what stands there now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import state
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import (
    CREATE,
    Change,
    anchors,
    as_text,
)


class Difference(NamedTuple):
    """One field that we own, or one that our change rests on. None = absent."""

    field: str
    before: Any
    ours: Any
    theirs: Any

    def __str__(self) -> str:
        return (
            f"{self.field} was {as_text(self.before)}, we wrote {as_text(self.ours)}, now it is {as_text(self.theirs)}"
        )


def differences(found: Object, change: Change) -> list[Difference]:
    """The fields in which an object is neither as we found it nor as we left it."""
    if change.action == CREATE:
        spec = Difference("spec", None, change.body.get("spec"), found.get("spec"))
        return [] if state.contains(spec.theirs, spec.ours) else [spec]
    moved = [
        Difference(operation["path"], operation["value"], operation["value"], _value(found, operation["path"]))
        for operation in anchors(change)
        if _value(found, operation["path"]) != operation["value"]
    ]
    # Where what a path rests on has moved, the path leads to something else.
    return moved or [difference for difference in _fields(found, change) if difference.theirs != difference.ours]


def _fields(found: Object, change: Change) -> Iterator[Difference]:
    """Each field under the name that people write; operations stand in the order of the fields."""
    written = [operation["path"] for operation in change.patch if operation["op"] != "test"]
    labels = [label for label, before in change.before.items() if before != change.after[label]]
    for label, path in zip(labels, written, strict=True):
        yield Difference(label, change.before[label], change.after[label], _value(found, path))


def _value(found: Object, path: str) -> Any:
    value = state.value(found, path)
    return None if value is state.ABSENT else value
