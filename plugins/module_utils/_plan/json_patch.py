# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Patch (RFC 6902): building the operations that we send, and applying them to predict what the server will hold.

The server applies the real ones; here only add, replace, remove and test are needed.
"""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

Operation = dict[str, Any]


class PatchError(Exception):
    """An operation does not fit the object: a path that is not there, or a test that fails."""


def pointer(*parts: str | int) -> str:
    """A JSON Pointer (RFC 6901) from plain keys and indexes."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}


def put(path: str, old: Any, new: Any) -> list[Operation]:
    """Sets a field from old to new, where None means absent.

    The old value is tested, so a change by someone else is not overwritten. A test for null holds where nothing is: the
    API server's library reads RFC 6902 so (measured on Kubernetes 1.37; `test` in github.com/evanphx/json-patch).
    """
    if old == new:
        return []
    if old is None:
        return [test(path, None), {"op": "add", "path": path, "value": new}]
    if new is None:
        return [test(path, old), {"op": "remove", "path": path}]
    return [test(path, old), {"op": "replace", "path": path, "value": new}]


def apply(obj: Object, operations: list[Operation]) -> Object:
    """A changed copy of an object. Raises PatchError."""
    result = copy.deepcopy(obj)
    for operation in operations:
        _apply(result, operation)
    return result


def _apply(obj: Object, operation: Operation) -> None:
    keys = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    parent: Any = obj
    for key in keys[:-1]:
        parent = _child(parent, key, operation)
    last: Any = int(keys[-1]) if isinstance(parent, list) else keys[-1]
    action = operation["op"]
    if action == "add":
        parent.insert(last, operation["value"]) if isinstance(parent, list) else parent.__setitem__(
            last, operation["value"]
        )
        return
    if action == "test" and operation["value"] is None and isinstance(parent, dict) and keys[-1] not in parent:
        return
    current = _child(parent, keys[-1], operation)
    if action == "test":
        if current != operation["value"]:
            raise PatchError(f"{operation['path']} is {current!r}, not {operation['value']!r}")
    elif action == "replace":
        parent[last] = operation["value"]
    elif action == "remove":
        del parent[last]


def _child(parent: Any, key: str, operation: Operation) -> Any:
    try:
        return parent[int(key)] if isinstance(parent, list) else parent[key]
    except (KeyError, IndexError, TypeError, ValueError):
        raise PatchError(f"{operation['path']} does not exist") from None
