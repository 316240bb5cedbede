# SPDX-License-Identifier: GPL-3.0-or-later
"""From a question to its starting point, the Grafana workload; and from selectors to pods."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Need,
    Object,
    Snapshot,
)


def grafana(question: Question, snapshot: Snapshot) -> Workload:
    """The workload from which queries start, with its pods. Raises NotReadError, InputError."""
    need = Need("get", question.grafana_kind, question.grafana_namespace, question.grafana_name)
    found = existing(snapshot, need)
    selector = objects.mapping(objects.mapping(objects.spec(found).get("selector")).get("matchLabels"))
    pods = pods_of(snapshot, question.grafana_namespace, selector)
    what = f"{question.grafana_kind} {question.grafana_namespace}/{question.grafana_name}"
    if isinstance(pods, str):
        raise InputError(f"The pods of {what} cannot be read: {pods}.")
    if not pods:
        raise InputError(f"{what} has no pods. Scale it up, then ask again.")
    return Workload(question.grafana_kind, question.grafana_namespace, question.grafana_name, pods)


def existing(snapshot: Snapshot, need: Need) -> Object:
    """The object that a need names. Raises InputError where it is not there or cannot be read."""
    what = f"{need.kind} {need.namespace}/{need.name}"
    answer = snapshot.ask(need)
    if answer.problem:
        raise InputError(f"{what} cannot be read: {answer.problem}.")
    if answer.objects:
        return answer.objects[0]
    namespace = snapshot.ask(Need("get", "Namespace", "", need.namespace))
    if not namespace.objects and not namespace.problem:
        raise InputError(
            f"Namespace {need.namespace} does not exist. Check the name and which cluster the kubeconfig points to."
        )
    raise InputError(
        f"{what} does not exist. Check the name; `kubectl get deployments,statefulsets -n {need.namespace}` lists "
        "what is there."
    )


def pods_of(snapshot: Snapshot, namespace: str, selector: dict[str, str]) -> tuple[Pod, ...] | str:
    """The pods that a selector finds, without those that are going away or have ended; or why they cannot be read."""
    answer = snapshot.ask(Need("list", "Pod", namespace, selector=objects.selector_text(selector)))
    if answer.problem:
        return answer.problem
    alive = (
        obj
        for obj in answer.objects
        if not objects.metadata(obj).get("deletionTimestamp")
        and objects.mapping(obj.get("status")).get("phase") not in ("Succeeded", "Failed")
    )
    return tuple(objects.pod(obj) for obj in alive)
