# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares an object with a change: does it hold what we wrote, what was there before, or something else?"""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import CREATE, Change

ABSENT = object()


def holds_after(obj: Object, change: Change) -> bool:
    """Whether the object stands as the change leaves it."""
    if change.action == CREATE:
        return contains(obj.get("spec"), change.body.get("spec"))
    return _fits(obj, change.reverse)


def holds_before(obj: Object, change: Change) -> bool:
    """Whether the object stands as the change found it. Never for an object that the change created."""
    return change.action != CREATE and _fits(obj, change.patch)


def _fits(obj: Object, operations: Any) -> bool:
    """Whether a JSON patch of ours would do its work here: every `test` holds, and what it adds is not there yet.

    The tests of the change itself thus describe the state before, those of its reverse the state after.
    """
    for operation in operations:
        found = value(obj, operation["path"])
        if operation["op"] == "test" and (None if found is ABSENT else found) != operation.get("value"):
            return False
        if operation["op"] == "add" and found is not ABSENT:
            return False
    return True


def value(obj: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to; ABSENT where it leads nowhere."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(obj, dict) and key in obj:
            obj = obj[key]
        elif isinstance(obj, list) and key.isdigit() and int(key) < len(obj):
            obj = obj[int(key)]
        else:
            return ABSENT
    return obj


def contains(found: Any, wanted: Any) -> bool:
    """Whether `found` is `wanted` apart from fields that the API server added by default."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(contains(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(contains(entry, value) for entry, value in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
