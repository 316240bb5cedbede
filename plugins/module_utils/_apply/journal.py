# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is changed into the cluster itself: one ConfigMap per run, before the first change and after each.

Whoever finds the cluster after a killed run finds there what stood before, what was written and how far it came.
"""

from __future__ import annotations

import getpass
import platform
import secrets
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import find
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import (
    JOURNAL_LABEL,
    PATH_LABEL,
    STARTED,
    Entry,
    Record,
    dump,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import FIELD_MANAGER, Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ConflictError, NotFoundError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change

# Closed runs that are kept of each path; open ones are kept whatever their number.
KEPT = 20


class Facts(NamedTuple):
    """What a run is about.

    path_id   `Question.path_id`
    grafana   `Kind/namespace/name`
    sidecars  `namespace/pod` of every sidecar on the path, separated by blanks
    forced    why this was a change to refuse, which force_live made anyway; else ""
    """

    path_id: str
    grafana: str
    strategy: str
    protocol: str
    plan_hash: str
    sidecars: str = ""
    forced: str = ""


class Journal:
    """A record that is being written; every `mark` goes through to the cluster."""

    def __init__(self, client: Client, record: Record) -> None:
        """Go on with an existing record."""
        self._client, self.record = client, record
        self.namespace, self.name = record.namespace, record.name

    @property
    def entries(self) -> list[Entry]:
        return self.record.entries

    @property
    def sidecars(self) -> list[str]:
        return self.record.sidecars

    def mark(self, index: int, state: str, uid: str = "") -> None:
        """Record how far one change has come."""
        entry = self.entries[index]
        self.entries[index] = entry._replace(state=state, uid=uid or entry.uid)
        self._save()

    def finish(self, state: str, note: str = "") -> None:
        """Record how the run ended."""
        self.record.state = state
        self.record.data["note"] = note
        self._save()

    def _save(self) -> None:
        record = self.record
        record.data |= {"state": record.state, "updated": _now(), "changes": dump(record.entries)}
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": record.uid},
            {"op": "replace", "path": "/data", "value": record.data},
        ]
        # The whole data each time: to write it twice does no harm.
        self._client.patch("ConfigMap", self.namespace, self.name, operations, repeatable=True)


def begin(client: Client, namespace: str, facts: Facts, changes: Iterable[Change]) -> Journal:
    """Write the journal of a run that is about to start."""
    config_map = _config_map(namespace, facts, changes)
    try:
        config_map = client.create("ConfigMap", config_map, repeatable=True)
    except ConflictError:
        # The name is made up for this run, so it is ours: its first answer was lost.
        config_map = client.get("ConfigMap", namespace, config_map["metadata"]["name"])
    return Journal(client, Record(config_map))


def rehearse(client: Client, namespace: str, facts: Facts, changes: Iterable[Change]) -> None:
    """Let the API server check that a journal could be written."""
    client.create("ConfigMap", _config_map(namespace, facts, changes), dry_run=True)


def prune(client: Client, namespace: str, path_id: str, kept: int = KEPT) -> list[str]:
    """Delete the oldest closed journals of a path but for the newest `kept`; returns the names of what was deleted.

    Open ones stay, whatever their number, and so do those that cannot be read.
    """
    deleted = []
    for config_map in find.closed(find.config_maps(client, namespace, path_id))[kept:]:
        metadata = config_map["metadata"]
        try:
            client.delete("ConfigMap", namespace, metadata["name"], metadata.get("uid", ""), repeatable=True)
        except NotFoundError:
            continue
        deleted.append(metadata["name"])
    return deleted


def who() -> str:
    """`user@host` of whoever runs this, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


def _config_map(namespace: str, facts: Facts, changes: Iterable[Change]) -> Object:
    started = _now()
    # Names sort by time; the suffix keeps two runs of one second apart.
    name = f"istio-remediation-{started[:19].replace(':', '').replace('-', '').lower()}-{secrets.token_hex(3)}"
    data = {**facts._asdict(), "started": started, "updated": started, "state": STARTED, "who": who(), "note": ""}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {
                JOURNAL_LABEL: "true",
                PATH_LABEL: facts.path_id,
                "app.kubernetes.io/managed-by": FIELD_MANAGER,
            },
        },
        "data": {**data, "changes": dump([Entry(change) for change in changes])},
    }


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
