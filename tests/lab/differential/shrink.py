# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a mesh smaller as long as it still shows what it shows: objects first, then what is in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from differential.generator import Object

# Without these an object is none any more.
KEPT = frozenset(
    {"apiVersion", "kind", "metadata", "name", "namespace", "host", "hosts", "selector", "port", "ports", "number"}
)


def smallest(mesh: Sequence[Object], still: Callable[[Sequence[Object]], bool]) -> list[Object]:
    """The smallest mesh found by leaving out one thing after the other."""
    found = list(mesh)
    progress = True
    while progress:
        progress = False
        for smaller in (*_fewer_objects(found), *_fewer_fields(found)):
            if still(smaller):
                found, progress = smaller, True
                break
    return found


def _fewer_objects(mesh: list[Object]) -> Iterator[list[Object]]:
    for index in range(len(mesh)):
        yield mesh[:index] + mesh[index + 1 :]


def _fewer_fields(mesh: list[Object]) -> Iterator[list[Object]]:
    for index, obj in enumerate(mesh):
        for spec in _smaller(obj["spec"]):
            yield [*mesh[:index], {**copy.deepcopy(obj), "spec": spec}, *mesh[index + 1 :]]


def _smaller(value: Any) -> Iterator[Any]:
    """Copies of a value that lack one field or one entry of a list that has several."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in KEPT:
                yield {other: kept for other, kept in value.items() if other != key}
            for smaller in _smaller(inner):
                yield {**value, key: smaller}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if len(value) > 1:
                yield value[:index] + value[index + 1 :]
            for smaller in _smaller(inner):
                yield [*value[:index], smaller, *value[index + 1 :]]
