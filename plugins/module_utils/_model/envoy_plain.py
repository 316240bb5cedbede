# SPDX-License-Identifier: GPL-3.0-or-later
"""A reduced `config_dump` as plain data and back, so that a snapshot can hold it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_args, get_type_hints

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import Dump
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

KIND = "EnvoyDump"


class _ShapeError(Exception):
    """Where the data has another shape. A phrase without a full stop."""


def to_object(dump: Dump) -> Object:
    """JSON-plain, with `kind: EnvoyDump`."""
    found: Object = _plain(dump)
    return {"kind": KIND, **found}


def from_object(obj: Object, where: str = "a sidecar") -> Dump:
    """The dump that `to_object` was given. where: whose it is, for people.

    Raises InputError for data of another shape, such as that of a snapshot from another version of the collection.
    """
    hints = _hints(Dump)
    try:
        entries = {field: _typed(kind, obj.get(field), field) for field, kind in hints.items()}
    except _ShapeError as error:
        raise InputError(
            f"Envoy's configuration in {where} is saved in a form that this version of the collection does not know "
            f"({error}). Save the snapshot again, or set read_envoy to false."
        ) from error
    return Dump(**entries)


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        if hasattr(value, "_asdict"):
            return {field: _plain(entry) for field, entry in value._asdict().items()}
        return [_plain(entry) for entry in value]
    return value


def _typed(kind: Any, value: Any, where: str) -> Any:
    """A plain value as the type that a field of `Dump` declares: a scalar, a NamedTuple, or a tuple of either."""
    if arguments := get_args(kind):
        if not isinstance(value, list):
            raise _ShapeError(f"{where} is no list")
        return tuple(_typed(arguments[0], entry, where) for entry in value)
    if fields := getattr(kind, "_fields", ()):
        if not isinstance(value, dict) or set(value) != set(fields):
            raise _ShapeError(f"an entry of {where} has not the fields {', '.join(fields)}")
        hints = _hints(kind)
        return kind(**{field: _typed(hints[field], value[field], f"{where}.{field}") for field in fields})
    if not isinstance(value, kind):
        raise _ShapeError(f"{where} is no {kind.__name__}")
    return value
