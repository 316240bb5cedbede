# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing a client's pods, for a change that open connections would outlive.

A proxy keeps connections to its own sidecar open. They stay with the listener on which they were accepted, and that
listener lives on where another Service has the same port: measured, such a proxy went on failing for as long as it was
watched (docs/truth-table.md, note on old connections).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import WORKLOADS, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect, Ill, Proposal

ANNOTATION = "istio-remediation.meshops/restarted-for"
_TEMPLATE = ("spec", "template", "metadata", "annotations")


def with_restart(ill: Ill, client: Workload, changes: tuple[change.Change, ...], reason: str) -> Proposal:
    """These changes, followed by new pods for the client. reason: names the change, as a value of the annotation.

    Raises NotReadError.
    """
    by_hand = f"Open connections of {client} outlive this change"
    if client.kind not in WORKLOADS:
        return Proposal(f"{by_hand}, and how to replace the pods of a {client.kind} is not known here.")
    answer = ill.snapshot.ask(Need("get", client.kind, client.namespace, client.name))
    if answer.problem or not answer.objects:
        return Proposal(f"{by_hand}, and it cannot be read: {answer.problem or 'it does not exist'}.")
    restart = _restart(client, answer.objects[0], reason)
    pods = len(client.pods)
    text = (
        f"{restart.target} rolls out again ({pods} pod{'s' if pods != 1 else ''}), because its open connections would "
        "outlive the change."
    )
    return Proposal(changes=(*changes, restart), effects=(Effect("restarts", str(restart.target), text),))


def alone(done: change.Change) -> bool:
    """Whether a change does nothing but replace pods."""
    return all(ANNOTATION in label for label in done.after)


def _restart(client: Workload, workload: Object, reason: str) -> change.Change:
    template = objects.mapping(objects.mapping(objects.spec(workload).get("template")).get("metadata"))
    annotations = template.get("annotations")
    label = f"spec.template.metadata.annotations[{ANNOTATION}]"
    old = objects.mapping(annotations).get(ANNOTATION)
    # A value that stands there already would replace no pod.
    new = f"{reason} again" if old == reason else reason
    if annotations:
        field = change.Field(json_patch.pointer(*_TEMPLATE, ANNOTATION), old, new, label)
    else:
        field = change.Field(json_patch.pointer(*_TEMPLATE), annotations, {ANNOTATION: new}, label)
    why = f"{client.name} opens new connections"
    return change.patch(client.kind, workload, [field], [], why, change.ROLLOUT)
