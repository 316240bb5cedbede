# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot as it will be once a plan is carried out."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    Object,
    Snapshot,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import CREATE, ROLLOUT, Change


def after(snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    """A new snapshot with all changes laid over it. Raises PatchError where a change does not fit what was read."""
    for change in changes:
        touched = _created(snapshot, change) if change.action == CREATE else _patched(snapshot, change)
        snapshot = snapshot.extended(touched)
        if change.waits_for == ROLLOUT:
            snapshot = _rolled_out(snapshot, change)
    return snapshot


def _created(snapshot: Snapshot, change: Change) -> dict[str, Answer]:
    """The lists that will show a new object."""
    kind = change.target.kind
    shown_by = (Need("list", kind, change.target.namespace).key, Need("list", kind).key)
    return {
        key: answer._replace(objects=(*answer.objects, change.body))
        for key, answer in snapshot.answers().items()
        if key in shown_by
    }


def _patched(snapshot: Snapshot, change: Change) -> dict[str, Answer]:
    """The answers that hold the object, with the patch applied to it."""
    touched = {}
    for key, answer in snapshot.answers().items():
        found = [index for index, obj in enumerate(answer.objects) if _is_target(obj, change)]
        if found:
            objs = list(answer.objects)
            for index in found:
                objs[index] = json_patch.apply(objs[index], list(change.patch))
            touched[key] = answer._replace(objects=tuple(objs))
    return touched


def _is_target(obj: Object, change: Change) -> bool:
    return objects.metadata(obj).get("uid") == change.target.uid


def _rolled_out(snapshot: Snapshot, change: Change) -> Snapshot:
    """The workload's pods as their successors will be: with the arguments of the patched template."""
    need = Need("get", change.target.kind, change.target.namespace, change.target.name)
    template = objects.mapping(objects.spec(snapshot.ask(need).objects[0]).get("template"))
    arguments = {
        container.get("name"): container.get("args")
        for container in map(objects.mapping, objects.sequence(objects.mapping(template.get("spec")).get("containers")))
    }
    answers = {
        key: answer._replace(objects=tuple(_successor(obj, change, arguments) for obj in answer.objects))
        for key, answer in snapshot.answers().items()
        if key.startswith("list Pod ")
    }
    return snapshot.extended(answers)


def _successor(obj: Object, change: Change, arguments: dict[object, object]) -> Object:
    pod = objects.pod(obj)
    kind, name = pod.workload
    if (kind, pod.namespace, name) != (change.target.kind, change.target.namespace, change.target.name):
        return obj
    containers = [
        {**container, "args": arguments[container.get("name")]} if container.get("name") in arguments else container
        for container in map(objects.mapping, objects.sequence(objects.spec(obj).get("containers")))
    ]
    return {**obj, "spec": {**objects.spec(obj), "containers": containers}}
