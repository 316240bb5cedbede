# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the runs that there were, newest first."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import (
    JOURNAL_LABEL,
    OPEN,
    PATH_LABEL,
    JournalError,
    Record,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


def config_maps(client: Client, namespace: str, path_id: str = "") -> list[Object]:
    """The ConfigMaps of all runs in a namespace, or of those on one path."""
    selector = f"{JOURNAL_LABEL}=true" + (f",{PATH_LABEL}={path_id}" if path_id else "")
    found = client.list("ConfigMap", namespace, selector)
    found.sort(key=lambda item: (item.get("data") or {}).get("started", ""), reverse=True)
    return found


def newest(client: Client, namespace: str, path_id: str) -> Record | None:
    """The newest run on a path in which there may be something to take back. Raises JournalError."""
    records = (Record(config_map) for config_map in config_maps(client, namespace, path_id))
    return next((record for record in records if record.open), None)


def load(client: Client, namespace: str, name: str, path_id: str) -> Record:
    """The run of this name. Raises JournalError where it is not there or is about another path."""
    config_map = client.get("ConfigMap", namespace, name)
    labels = config_map["metadata"].get("labels") or {}
    if labels.get(JOURNAL_LABEL) != "true":
        raise JournalError(f"ConfigMap {namespace}/{name} is no journal of this collection; check run.")
    if labels.get(PATH_LABEL) != path_id:
        about = (config_map.get("data") or {}).get("grafana", "another workload")
        raise JournalError(f"Journal {namespace}/{name} is about {about}, not about the Grafana that was asked for.")
    return Record(config_map)


def closed(found: list[Object]) -> list[Object]:
    """Those of `config_maps` in which nothing is left to take back; what cannot be read counts as open."""
    states = {*OPEN, None}
    return [config_map for config_map in found if (config_map.get("data") or {}).get("state") not in states]
