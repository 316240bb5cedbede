# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and tools have put into the namespace, so that two moments can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from meshlab.api import Api, Manifest

from stage.world import NATIVE, RESTARTED, SWEPT, listing

JOURNAL = "istio-remediation.meshops/journal"
# The Deployment controller counts here.
COUNTERS = ("deployment.kubernetes.io/",)
State = Mapping[str, str]


def read(api: Api) -> State:
    """Return a hash of each object's content by ``Kind/name``; a journal's key ends in `` (journal)``."""
    found = {}
    for version, kind in SWEPT:
        for obj in listing(api, version, kind):
            if (kind, obj["metadata"]["name"]) not in NATIVE:
                found[key(kind, obj)] = content(obj)
    return found


def key(kind: str, obj: Manifest) -> str:
    mark = " (journal)" if JOURNAL in (obj["metadata"].get("labels") or {}) else ""
    return f"{kind}/{obj['metadata']['name']}{mark}"


def content(obj: Manifest) -> str:
    """Return a hash of what somebody wrote: everything but status and what the API server keeps in metadata."""
    meta = obj["metadata"]
    annotations = {
        name: text for name, text in (meta.get("annotations") or {}).items() if not name.startswith(COUNTERS)
    }
    if template := (obj.get("spec") or {}).get("template"):
        template.get("metadata", {}).get("annotations", {}).pop(RESTARTED, None)
    rest = {name: part for name, part in obj.items() if name not in ("metadata", "status", "apiVersion", "kind")}
    text = json.dumps([rest, meta.get("labels") or {}, annotations], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(before: State, after: State, strict: bool = False) -> list[str]:
    """Return a sentence for each object that came, went or changed; journals count only where ``strict``."""
    found = []
    for name in sorted({*before, *after}):
        if not strict and name.endswith(" (journal)"):
            continue
        if name not in after:
            found.append(f"{name} is gone")
        elif name not in before:
            found.append(f"{name} is new")
        elif before[name] != after[name]:
            found.append(f"{name} has changed")
    return found
