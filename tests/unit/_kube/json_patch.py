# SPDX-License-Identifier: GPL-3.0-or-later
"""RFC 6902 as the API server applies it, for the API server of the tests."""

from __future__ import annotations

import copy
from typing import Any


class PatchError(Exception):
    """A `test` does not hold or a path does not exist; the object stays as it was."""


def apply(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Return a patched copy of `document`."""
    result = copy.deepcopy(document)
    for operation in operations:
        result = _apply(result, operation)
    return result


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    verb = operation["op"]
    parent = document
    for part in path[:-1]:
        parent = _child(parent, part, operation)
    last = path[-1]
    if verb == "test":
        if operation.get("value") is None and isinstance(parent, dict) and last not in parent:
            return document
        if _child(parent, last, operation) != operation.get("value"):
            raise PatchError(f"testing value {operation['path']} failed: test failed")
    elif verb == "remove":
        _child(parent, last, operation)
        del parent[int(last) if isinstance(parent, list) else last]
    elif verb == "replace":
        _child(parent, last, operation)
        parent[int(last) if isinstance(parent, list) else last] = operation["value"]
    elif verb == "add":
        if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])
        else:
            parent[last] = operation["value"]
    else:
        raise PatchError(f"unknown operation {verb}")
    return document


def _child(parent: Any, part: str, operation: dict[str, Any]) -> Any:
    try:
        return parent[int(part)] if isinstance(parent, list) else parent[part]
    except (KeyError, IndexError, ValueError) as error:
        raise PatchError(f"{operation['op']} operation does not apply: no {operation['path']}") from error
