# SPDX-License-Identifier: GPL-3.0-or-later
"""From a question to its starting point: the Grafana workload and the data source's URL."""

from __future__ import annotations

from urllib.parse import urlencode

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import DataSource
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    Object,
    Snapshot,
)

PROMETHEUS = "prometheus"
PROVISIONING = "provisioning/datasources"
_ASK_GRAFANA = ", or grafana_token so that Grafana itself can be asked"
GRAFANA = "Grafana's API"


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


def datasource(question: Question, snapshot: Snapshot, workload: Workload) -> DataSource:
    """The data source asked about. Raises NotReadError, InputError."""
    if question.datasource_url:
        return DataSource(question.datasource_uid, "", question.datasource_url, "", "given")
    need = Need("list", "DataSource", question.grafana_namespace, name=",".join(_mounted_config_maps(workload)))
    provisioned = snapshot.ask(need)
    found = _matching(question, provisioned, f"in namespace {question.grafana_namespace}")
    if found is None and question.ask_grafana:
        answer = snapshot.ask(Need("grafana", "", question.grafana_namespace, "/api/datasources"))
        if answer.problem:
            raise InputError(f"Grafana does not list its data sources: {answer.problem}.")
        found = _matching(question, answer, "in Grafana")
    if found is not None:
        if found.source != GRAFANA and provisioned.problem and not question.datasource_uid:
            raise InputError(
                f"Data source {found.uid} was found, but whether it is the only one cannot be told: "
                f"{provisioned.problem}. Choose one with datasource_uid."
            )
        return found
    wanted = f"with uid {question.datasource_uid!r}" if question.datasource_uid else "of type prometheus"
    problem = f" ({provisioned.problem})" if provisioned.problem else ""
    asked, hint = (", nor in Grafana", "") if question.ask_grafana else ("", _ASK_GRAFANA)
    raise InputError(
        f"No data source {wanted} is in the provisioning ConfigMaps of namespace "
        f"{question.grafana_namespace}{problem}{asked}. Give datasource_url{hint}."
    )


def _matching(question: Question, answer: Answer, where: str) -> DataSource | None:
    sources = [entry for entry in answer.objects if objects.text(entry.get("type")) == PROMETHEUS]
    if question.datasource_uid:
        sources = [entry for entry in sources if objects.text(entry.get("uid")) == question.datasource_uid]
    if len(sources) > 1 and not question.datasource_uid:
        listed = ", ".join(f"{objects.text(entry.get('uid'))} ({objects.text(entry.get('name'))})" for entry in sources)
        raise InputError(
            f"{len(sources)} Prometheus data sources are {where}: {listed}. Choose one with datasource_uid."
        )
    return _datasource(sources[0]) if sources else None


def _datasource(entry: Object) -> DataSource:
    settings = objects.mapping(entry.get("jsonData"))
    parameters = settings.get("customQueryParameters")
    return DataSource(
        uid=objects.text(entry.get("uid")),
        name=objects.text(entry.get("name")),
        url=objects.text(entry.get("url")),
        query_parameters=urlencode(parameters) if isinstance(parameters, dict) else objects.text(parameters),
        source=f"ConfigMap/{entry['configMap']}" if entry.get("configMap") else GRAFANA,
        headers=tuple(
            objects.text(value) for key, value in sorted(settings.items()) if key.startswith("httpHeaderName")
        ),
    )


def _mounted_config_maps(workload: Workload) -> list[str]:
    """Names of the ConfigMaps that Grafana's pods mount where Grafana looks for provisioned data sources."""
    body = objects.spec(workload.pods[0].object)
    mounted = {
        objects.text(mount.get("name"))
        for container in map(objects.mapping, objects.sequence(body.get("containers")))
        for mount in map(objects.mapping, objects.sequence(container.get("volumeMounts")))
        if PROVISIONING in objects.text(mount.get("mountPath"))
    }
    names = {
        objects.text(objects.mapping(volume.get("configMap")).get("name"))
        for volume in map(objects.mapping, objects.sequence(body.get("volumes")))
        if objects.text(volume.get("name")) in mounted
    }
    return sorted(name for name in names if name)
