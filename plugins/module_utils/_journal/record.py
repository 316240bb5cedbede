# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of one run, as it lies in the cluster: a ConfigMap that tells what stood before and how far it came.

Here it is only read; `_apply/journal.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change, Target

JOURNAL_LABEL = "istio-remediation.meshops/journal"
PATH_LABEL = "istio-remediation.meshops/path"

# States of a run, and of a change in it.
STARTED, APPLIED, REVERTED, FAILED = "started", "applied", "reverted", "failed"
PENDING, WRITING = "pending", "writing"
# States of a run in which there may be something to take back.
OPEN = frozenset({STARTED, APPLIED, FAILED})


class JournalError(KubeError):
    """A journal cannot be read, or is not there."""


class Entry(NamedTuple):
    """One change of a run. state: pending, writing (outcome unknown), applied or reverted. uid: of what was created."""

    change: Change
    state: str = PENDING
    uid: str = ""


class Record:
    """One run. data: the ConfigMap's data, all of it text; entries: its changes in the order of writing."""

    def __init__(self, config_map: Object) -> None:
        """Take an existing ConfigMap as a record. Raises JournalError where it is none."""
        metadata = config_map["metadata"]
        self.uid: str = metadata.get("uid", "")
        self.namespace: str = metadata["namespace"]
        self.name: str = metadata["name"]
        self.path_id: str = (metadata.get("labels") or {}).get(PATH_LABEL, "")
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
        return self.state in OPEN

    @property
    def sidecars(self) -> list[str]:
        """`namespace/pod` of every sidecar that was on the path when the run began."""
        return self.data.get("sidecars", "").split()


def dump(entries: Iterable[Entry]) -> str:
    """Entries as the text that Record reads."""
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
