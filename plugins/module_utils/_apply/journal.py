# SPDX-License-Identifier: GPL-3.0-or-later
"""What was changed, in the cluster itself: one ConfigMap per run, written before the first change and after each.

Whoever finds the cluster after a killed run finds there what stood before, what was written and how far it came.
"""

from __future__ import annotations

import getpass
import json
import platform
import secrets
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import FIELD_MANAGER, Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change, Target

JOURNAL_LABEL = "istio-remediation.meshops/journal"
PATH_LABEL = "istio-remediation.meshops/path"

# States of a run, and of a change in it.
STARTED, APPLIED, REVERTED, FAILED = "started", "applied", "reverted", "failed"
PENDING, WRITING = "pending", "writing"


class JournalError(KubeError):
    """A journal cannot be read, or is not there."""


class Entry(NamedTuple):
    """One change of a run. state: pending, writing (outcome unknown), applied or reverted. uid: of what was created."""

    change: Change
    state: str = PENDING
    uid: str = ""


class Facts(NamedTuple):
    """What a run is about.

    path_id   `Question.path_id`
    grafana   `Kind/namespace/name`
    sidecars  `namespace/pod` of every sidecar on the path, separated by blanks
    """

    path_id: str
    grafana: str
    strategy: str
    protocol: str
    plan_hash: str
    sidecars: str = ""


class Journal:
    """The record of one run; every `mark` is written through to the cluster."""

    def __init__(self, client: Client, config_map: Object) -> None:
        """Take an existing ConfigMap as a journal. Raises JournalError where it is none."""
        self._client = client
        self._uid = config_map["metadata"].get("uid", "")
        self.namespace = config_map["metadata"]["namespace"]
        self.name = config_map["metadata"]["name"]
        self.data: dict[str, str] = dict(config_map.get("data") or {})
        try:
            self.entries = [_entry(item) for item in json.loads(self.data["changes"])]
            self.state = self.data["state"]
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(
                f"ConfigMap {self.namespace}/{self.name} is no journal that can be read ({error!r}); look at its data "
                "and take the changes back by hand."
            ) from error

    @property
    def open(self) -> bool:
        """Whether there may be something to take back."""
        return self.state in (STARTED, APPLIED, FAILED)

    @property
    def sidecars(self) -> list[str]:
        """`namespace/pod` of every sidecar that was on the path when the run began."""
        return self.data.get("sidecars", "").split()

    def mark(self, index: int, state: str, uid: str = "") -> None:
        """Record how far one change has come."""
        entry = self.entries[index]
        self.entries[index] = entry._replace(state=state, uid=uid or entry.uid)
        self._save()

    def finish(self, state: str, note: str = "") -> None:
        """Record how the run ended."""
        self.state = state
        self.data["note"] = note
        self._save()

    def _save(self) -> None:
        self.data |= {"state": self.state, "updated": _now(), "changes": _dump(self.entries)}
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": self._uid},
            {"op": "replace", "path": "/data", "value": self.data},
        ]
        self._client.patch("ConfigMap", self.namespace, self.name, operations)


def begin(client: Client, namespace: str, facts: Facts, changes: Iterable[Change]) -> Journal:
    """Write the journal of a run that is about to start."""
    return Journal(client, client.create("ConfigMap", _config_map(namespace, facts, changes)))


def rehearse(client: Client, namespace: str, facts: Facts, changes: Iterable[Change]) -> None:
    """Let the API server check that a journal could be written."""
    client.create("ConfigMap", _config_map(namespace, facts, changes), dry_run=True)


def newest(client: Client, namespace: str, path_id: str) -> Journal | None:
    """The newest journal of a path in which there may be something to take back. Raises JournalError."""
    found = client.list("ConfigMap", namespace, f"{JOURNAL_LABEL}=true,{PATH_LABEL}={path_id}")
    found.sort(key=lambda item: (item.get("data") or {}).get("started", ""), reverse=True)
    journals = (Journal(client, config_map) for config_map in found)
    return next((journal for journal in journals if journal.open), None)


def load(client: Client, namespace: str, name: str, path_id: str) -> Journal:
    """The journal of this name. Raises JournalError where it is not there or is about another path."""
    config_map = client.get("ConfigMap", namespace, name)
    labels = config_map["metadata"].get("labels") or {}
    if labels.get(JOURNAL_LABEL) != "true":
        raise JournalError(f"ConfigMap {namespace}/{name} is no journal of this collection; check run.")
    if labels.get(PATH_LABEL) != path_id:
        about = (config_map.get("data") or {}).get("grafana", "another workload")
        raise JournalError(f"Journal {namespace}/{name} is about {about}, not about the Grafana that was asked for.")
    return Journal(client, config_map)


def _config_map(namespace: str, facts: Facts, changes: Iterable[Change]) -> Object:
    started = _now()
    # Names sort by time; the suffix keeps two runs of one second apart.
    name = f"istio-remediation-{started[:19].replace(':', '').replace('-', '').lower()}-{secrets.token_hex(3)}"
    data = {**facts._asdict(), "started": started, "updated": started, "state": STARTED, "who": _who(), "note": ""}
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
        "data": {**data, "changes": _dump([Entry(change) for change in changes])},
    }


def _dump(entries: Iterable[Entry]) -> str:
    plain = [
        {**entry._asdict(), "change": {**entry.change._asdict(), "target": entry.change.target._asdict()}}
        for entry in entries
    ]
    return json.dumps(plain, indent=1)


def _entry(item: Any) -> Entry:
    change = item["change"]
    restored = {**change, "target": Target(**change["target"])}
    restored |= {"patch": tuple(change["patch"]), "reverse": tuple(change["reverse"])}
    return Entry(Change(**restored), item["state"], item["uid"])


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _who() -> str:
    """Who ran it, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"
