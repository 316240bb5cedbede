# SPDX-License-Identifier: GPL-3.0-or-later
"""A reduced `config_dump` as plain data and back, so that a snapshot can hold it."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import (
    Chain,
    Cluster,
    Dump,
    EndpointEntry,
    Listener,
    PolicyRule,
    RouteEntry,
    Socket,
    Table,
    VirtualHost,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

KIND = "EnvoyDump"


def to_object(dump: Dump) -> Object:
    """JSON-plain, with `kind: EnvoyDump`."""
    found: Object = _plain(dump)
    return {"kind": KIND, **found}


def from_object(obj: Object) -> Dump:
    """The dump that `to_object` was given. Raises KeyError or TypeError for anything else."""
    return Dump(
        tuple(
            Listener(
                entry["name"],
                tuple(entry["addresses"]),
                entry["port"],
                _chains(entry["chains"]),
                _chains(entry["default"]),
            )
            for entry in obj["listeners"]
        ),
        tuple(
            Table(entry["name"], tuple(map(_virtual_host, entry["hosts"])), entry["ports_ignored"])
            for entry in obj["tables"]
        ),
        tuple(
            Cluster(entry["name"], entry["kind"], tuple(Socket(**_tuples(socket)) for socket in entry["sockets"]))
            for entry in obj["clusters"]
        ),
        tuple(EndpointEntry(**_tuples(entry)) for entry in obj["endpoints"]),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        if hasattr(value, "_asdict"):
            return {field: _plain(entry) for field, entry in value._asdict().items()}
        return [_plain(entry) for entry in value]
    return value


def _tuples(entry: Object) -> dict[str, Any]:
    return {field: tuple(value) if isinstance(value, list) else value for field, value in entry.items()}


def _chains(entries: list[Object]) -> tuple[Chain, ...]:
    return tuple(
        Chain(**{**_tuples(entry), "rules": tuple(PolicyRule(**rule) for rule in entry["rules"])}) for entry in entries
    )


def _virtual_host(entry: Object) -> VirtualHost:
    routes = tuple(RouteEntry(**route) for route in entry["routes"])
    return VirtualHost(entry["name"], tuple(entry["domains"]), routes)
