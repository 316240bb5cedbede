# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights it takes to carry out a plan, to record it, and to take it back.

A run asks for the rights to undo its changes before it makes them: a fix that cannot be taken back is not begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import access
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Right
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import (
    CREATE,
    DELETE,
    PATCH,
    ROLLOUT,
    Change,
)

JOURNAL, REMEDIATOR, READER = "journal.yaml", "remediator.yaml", "reader.yaml"
REHEARSAL = "rehearsal.yaml"

# Names that do not exist yet cannot be granted one by one: RBAC sees no name in the request that creates an object.
_TO_APPLY = {PATCH: ("patch",), CREATE: ("create", "delete"), DELETE: ("delete", "create")}
_TO_REVERT = {PATCH: ("patch",), CREATE: ("delete",), DELETE: ("create",)}


def to_find_journals(namespace: str) -> list[Right]:
    """What it takes to see which runs there were and who is at work. namespace: where journals are kept."""
    records = [access.of_kind(verb, "ConfigMap", namespace, JOURNAL) for verb in ("get", "list")]
    return [*records, access.of_kind("get", "Lease", namespace, JOURNAL)]


def to_apply(changes: Iterable[Change], namespace: str) -> list[Right]:
    """What it takes to make changes, to see that they came about, to record them and to take them back."""
    record = [access.of_kind(verb, "ConfigMap", namespace, JOURNAL) for verb in ("create", "patch", "delete")]
    writing = [right for change in changes for right in _of_change(change, _TO_APPLY[change.action])]
    return [*to_find_journals(namespace), *record, *to_lock(namespace), *writing]


def to_rehearse(shadow: Iterable[Object], namespace: str) -> list[Right]:
    """What it takes to set up a shadow, to ask it, and to remove it. namespace: where Leases are kept."""
    rights = [access.of_kind("get", "Lease", namespace, JOURNAL), *to_lock(namespace)]
    for body in shadow:
        kind, place, name = objects.text(body.get("kind")), objects.namespace(body), objects.name(body)
        verbs = ("get", "patch", "delete") if kind == "Deployment" else ("get", "delete")
        rights += [access.of_kind(verb, kind, place, REHEARSAL, name) for verb in verbs]
        rights.append(access.of_kind("create", kind, place, REHEARSAL))
        if kind == "Deployment":
            rights.append(access.of_kind("list", "Pod", place, READER))
            rights.append(Right("get", "pods/log", "", place, "", READER))
            # `create` since Kubernetes 1.35: see _read/rights.py.
            rights += [Right(verb, "pods/portforward", "", place, "", REHEARSAL) for verb in ("get", "create")]
    return rights


def to_remove_shadow(namespace: str) -> list[Right]:
    """What it takes to remove what a rehearsal left that was killed."""
    return [
        access.of_kind("delete", "Deployment", namespace, REHEARSAL),
        access.of_kind("patch", "Deployment", namespace, REHEARSAL),
        access.of_kind("list", "Pod", namespace, READER),
    ]


def to_revert(changes: Iterable[Change], namespace: str) -> list[Right]:
    """What it takes to take changes back, and to record that."""
    writing = [right for change in changes for right in _of_change(change, _TO_REVERT[change.action])]
    record = [access.of_kind(verb, "ConfigMap", namespace, JOURNAL) for verb in ("patch", "delete")]
    return [*record, *to_lock(namespace), *writing]


def to_lock(namespace: str) -> list[Right]:
    """What it takes to be the only run on a path."""
    return [access.of_kind(verb, "Lease", namespace, JOURNAL) for verb in ("get", "create", "patch", "delete")]


def _of_change(change: Change, verbs: Iterable[str]) -> Iterator[Right]:
    target = change.target
    for verb in ("get", *verbs):
        name = "" if verb == "create" else target.name
        yield access.of_kind(verb, target.kind, target.namespace, REMEDIATOR, name)
    if change.waits_for == ROLLOUT:
        # Whether new pods start, and the last words of one that does not.
        yield access.of_kind("list", "Pod", target.namespace, READER)
        yield Right("get", "pods/log", "", target.namespace, "", READER)
