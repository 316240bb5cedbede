# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until a workload's pods are replaced, and sees early that they never will be."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ApiError, KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Target

POLL = 0.5
# Reasons for which a container waits and no waiting helps; ContainerCreating and PodInitializing pass.
_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
_LOG_LINES = 60
_TELLING = re.compile(r"(?i)\b(not defined|unknown flag|error|fatal|panic|failed|cannot)\b")


class RolloutError(KubeError):
    """The new pods do not become ready."""


def pod_names(client: Client, target: Target) -> set[str]:
    """The names of a workload's pods as they are now."""
    workload = client.get(target.kind, target.namespace, target.name)
    return {objects.name(pod) for pod in _pods_of(client, workload)}


def _pods_of(client: Client, workload: Object) -> list[Object]:
    selector = objects.mapping(objects.mapping(objects.spec(workload).get("selector")).get("matchLabels"))
    return client.list("Pod", objects.namespace(workload), objects.selector_text(selector))


def wait(client: Client, target: Target, old_pods: set[str], timeout: float, clock: Clock) -> None:
    """Wait until every pod of a workload is new and available.

    old_pods: names of the pods from before the change. Raises RolloutError (deadline, or a new pod that cannot start).
    """
    deadline = clock.now() + timeout
    while True:
        workload = client.get(target.kind, target.namespace, target.name)
        progress = _progress(workload)
        if progress is None:
            return
        for pod in _pods_of(client, workload):
            if objects.name(pod) not in old_pods:
                _raise_if_hopeless(client, target, pod)
        if clock.now() >= deadline:
            raise RolloutError(f"{target} did not finish its rollout within {timeout:g} seconds: {progress}.")
        clock.sleep(POLL)


def _progress(workload: Object) -> str | None:
    """What is still missing; None when the rollout is complete (the rules of `kubectl rollout status`)."""
    status = objects.mapping(workload.get("status"))
    if int(status.get("observedGeneration") or 0) < int(objects.metadata(workload).get("generation") or 0):
        return "its controller has not seen the change yet"
    if workload.get("kind") == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled") or 0)
        updated, available = int(status.get("updatedNumberScheduled") or 0), int(status.get("numberAvailable") or 0)
        total = wanted
    else:
        replicas = objects.spec(workload).get("replicas")
        wanted = 1 if replicas is None else int(replicas)
        updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
        total = int(status.get("replicas") or 0)
    if updated < wanted:
        return f"{updated} of {wanted} pods are new"
    if total > updated:
        return f"{total - updated} old pods are still there"
    if available < updated:
        return f"{available} of {updated} new pods are available"
    return None


def _raise_if_hopeless(client: Client, target: Target, pod: Object) -> None:
    status = objects.mapping(pod.get("status"))
    statuses = [
        objects.mapping(entry)
        for key in ("initContainerStatuses", "containerStatuses")
        for entry in objects.sequence(status.get(key))
    ]
    place = f"the new Pod {objects.namespace(pod)}/{objects.name(pod)} of {target}"
    for entry in statuses:
        waiting = objects.mapping(objects.mapping(entry.get("state")).get("waiting"))
        reason = objects.text(waiting.get("reason"))
        ended = _last_exit(entry)
        crashed = ended is not None and int(entry.get("restartCount") or 0) >= 2
        if reason not in _HOPELESS and not crashed:
            continue
        container = objects.text(entry.get("name"))
        if ended is None:
            said = objects.text(waiting.get("message")).strip().rstrip(".") or reason
            raise RolloutError(f"Container {container} of {place} cannot start: {reason}: {said}.")
        line = _last_words(client, pod, container)
        said = f": {line}" if line else ""
        raise RolloutError(f"Container {container} of {place} ends with exit code {ended}{said}.")


def _last_exit(status: dict[str, Any]) -> int | None:
    """The exit code with which a container last failed; None where it has not."""
    for key in ("state", "lastState"):
        ended = objects.mapping(objects.mapping(status.get(key)).get("terminated"))
        if ended.get("exitCode"):
            return int(ended["exitCode"])
    return None


def _last_words(client: Client, pod: Object, container: str) -> str:
    """The line of a failed container's log that says why: programs may print their whole usage after it."""
    for previous in (True, False):
        try:
            text = client.log(objects.namespace(pod), objects.name(pod), container, _LOG_LINES, previous=previous)
        except ApiError:
            # The log is a courtesy: without it the exit code stands alone.
            continue
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return next((line for line in lines if _TELLING.search(line)), lines[-1])[:300]
    return ""
