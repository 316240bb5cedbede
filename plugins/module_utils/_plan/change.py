# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fix does to the cluster, as data: every change with its reason and its way back."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.json_patch import Operation

PATCH, CREATE, DELETE = "patch", "create", "delete"
PUSH, ROLLOUT = "push", "rollout"
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "meshops.istio_remediation"
_LONGEST_TEXT = 300


class Target(NamedTuple):
    """The object that a change is about. uid and resource_version are "" for an object that is to be created."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


class Change(NamedTuple):
    """action     PATCH, CREATE or DELETE
    patch      JSON Patch operations (PATCH); they test the uid and every value that they replace
    body       the whole object (CREATE)
    reverse    JSON Patch operations that take a PATCH back, and test that what stands there is ours; a CREATE is taken
               back by deleting the object with the uid that the server gave it
    before, after   only the fields that we own, for people; before is {} for a CREATE
    why        for people
    waits_for  PUSH (istiod sends it to the sidecars) or ROLLOUT (pods are replaced)
    """

    action: str
    target: Target
    patch: tuple[Operation, ...]
    body: Object
    reverse: tuple[Operation, ...]
    before: dict[str, Any]
    after: dict[str, Any]
    why: str
    waits_for: str


def target(kind: str, obj: Object) -> Target:
    meta = objects.metadata(obj)
    return Target(
        api_version=objects.text(obj.get("apiVersion")),
        kind=kind,
        namespace=objects.namespace(obj),
        name=objects.name(obj),
        uid=objects.text(meta.get("uid")),
        resource_version=objects.text(meta.get("resourceVersion")),
    )


class Field(NamedTuple):
    """One field to set: where it is, what it holds (None = absent), what it shall hold, and how people write it."""

    path: str
    old: Any
    new: Any
    label: str


def patch(kind: str, obj: Object, fields: list[Field], anchors: list[Operation], why: str, waits_for: str) -> Change:
    """A change of some fields of an object that exists.

    anchors: `test` operations that pin what the paths rest on, e.g. that ports[0] is still the port that is meant. They
    must hold before and after the change.
    """
    uid = [json_patch.test("/metadata/uid", objects.metadata(obj).get("uid"))]
    forth = [operation for field in fields for operation in json_patch.put(field.path, field.old, field.new)]
    back = [operation for field in reversed(fields) for operation in json_patch.put(field.path, field.new, field.old)]
    return Change(
        action=PATCH,
        target=target(kind, obj),
        patch=(*uid, *anchors, *forth),
        body={},
        reverse=(*uid, *anchors, *back),
        before={field.label: field.old for field in fields},
        after={field.label: field.new for field in fields},
        why=why,
        waits_for=waits_for,
    )


def create(body: Object, why: str) -> Change:
    """A new object. It is marked as ours, so that people see where it comes from."""
    meta = {**objects.metadata(body), "labels": {MANAGED_BY: MANAGER}}
    marked = {**body, "metadata": meta}
    made = target(objects.text(body.get("kind")), marked)
    return Change(CREATE, made, (), marked, (), {}, {"spec": body["spec"]}, why, PUSH)


def anchors(change: Change) -> list[Operation]:
    """The tests that hold before and after a change: uid, and what pins the paths."""
    return [operation for operation in change.patch if operation["op"] == "test" and operation in change.reverse]


def as_text(value: Any) -> str:
    """A field's value in a sentence."""
    if value is None:
        return "absent"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
