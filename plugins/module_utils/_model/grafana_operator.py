# SPDX-License-Identifier: GPL-3.0-or-later
"""Data sources as grafana-operator's custom resources: https://grafana.github.io/grafana-operator/docs/datasources/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object, Snapshot

GROUP = "grafana.integreatly.org"


def owner(question: Question, snapshot: Snapshot) -> str:
    """Name of the Grafana (the custom resource) that the workload belongs to; "" where the operator does not run it."""
    need = Need("get", question.grafana_kind, question.grafana_namespace, question.grafana_name)
    for workload in snapshot.ask(need).objects:
        for reference in map(objects.mapping, objects.sequence(objects.metadata(workload).get("ownerReferences"))):
            if reference.get("kind") == "Grafana" and objects.text(reference.get("apiVersion")).startswith(GROUP):
                return objects.text(reference.get("name"))
    return ""


def definition(obj: Object) -> Object:
    """A GrafanaDatasource as Grafana's provisioning would write it, with `source`, and `problem` where it is not whole.

    The uid is `spec.uid`, else the older `spec.datasource.uid`, else that of the object. Values from Secrets and
    ConfigMaps (`spec.valuesFrom`) take the place of `$key` and `${key}`; they are not read.
    """
    body = objects.spec(obj)
    settings = objects.mapping(body.get("datasource"))
    uid = body.get("uid") or settings.get("uid") or objects.metadata(obj).get("uid")
    place = f"GrafanaDatasource/{objects.namespace(obj)}/{objects.name(obj)}"
    headers = objects.mapping(settings.get("jsonData")).items()
    judged = [settings.get("url"), *(value for key, value in headers if key.startswith("httpHeaderName"))]
    open_value = next((text for text in map(objects.text, judged) if "$" in text), "")
    problem = f"{place} fills in {open_value!r} from a Secret or ConfigMap (valuesFrom)" if open_value else ""
    return {**settings, "uid": objects.text(uid), "source": place, "problem": problem}


def chosen(question: Question, snapshot: Snapshot, instance: str, defined: Sequence[Object]) -> tuple[list[bool], str]:
    """Which GrafanaDatasources are for this Grafana, and why that cannot be told; what may be for it counts.

    instance: name of the Grafana that runs the workload. Raises NotReadError.
    """
    everything = [True] * len(defined)
    if not defined:
        return [], ""
    if not instance:
        return everything, "GrafanaDatasources are there, but grafana-operator does not run this Grafana"
    answer = snapshot.ask(Need("get", "Grafana", question.grafana_namespace, instance))
    if answer.problem or not answer.objects:
        why = answer.problem or f"Grafana {question.grafana_namespace}/{instance} does not exist"
        return everything, f"which GrafanaDatasources are for this Grafana cannot be told: {why}"
    labels = objects.labels(answer.objects[0])
    return [_selects(objects.mapping(objects.spec(obj).get("instanceSelector")), labels) for obj in defined], ""


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector matches: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
    expressions = map(objects.mapping, objects.sequence(selector.get("matchExpressions")))
    return objects.selects(objects.mapping(selector.get("matchLabels")), labels) and all(
        _holds(expression, labels) for expression in expressions
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = objects.text(expression.get("key")), objects.text(expression.get("operator"))
    values = [objects.text(value) for value in objects.sequence(expression.get("values"))]
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) == (operator == "Exists")
    return (labels.get(key) in values) == (operator == "In")
