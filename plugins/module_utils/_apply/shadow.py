# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up a copy of the proxy beside production while something is asked of it, and removes it whatever comes.

First comes the Deployment, without a pod: it marks that something is there. Then comes what it owns, which so goes
where it goes, and last its pod. It is removed in the reverse order, with the Deployment last: wherever a run is killed,
the next one on the path finds the mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ConflictError,
    KubeError,
    NotFoundError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import shadow as shadows
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.shadow import OWNS, RUN_LABEL, Shadow

# Within which the copy's pod has ended; longer ones end all the same, with the Deployment.
GONE_SECONDS = 60.0


class LeftError(KubeError):
    """The copy could not be removed. left: what stays, as a sentence."""

    def __init__(self, message: str, left: str) -> None:
        self.left = left
        super().__init__(f"{message} {left}".strip())


def dry_run(client: Client, bodies: Sequence[Object]) -> None:
    """Let the API server try to create everything, admission included, without storing any."""
    for body in bodies:
        client.create(objects.text(body.get("kind")), body, dry_run=True)


@contextmanager
def standing(client: Client, copied: Shadow, timeout: float, clock: Clock) -> Iterator[tuple[list[Pod], list[Object]]]:
    """The copy's ready pods, and what it owns, while the block runs. timeout: seconds until they are ready.

    Raises RolloutError and other KubeErrors, LeftError where it could not be removed.
    """
    deployment, *companions = copied.bodies
    failure = ""
    try:
        root = _create(client, deployment)
        owner = _owner(root)
        owned = [
            _create(client, {**body, "metadata": {**body["metadata"], "ownerReferences": [owner]}})
            for body in companions
        ]
        # An address is known only once its Service is there, and the pod must not be without it.
        aliases = [step for body in owned if body.get("kind") == "Service" for step in shadows.alias(copied, body)]
        _scale(client, root, 1, aliases)
        rollout.wait(client, change.target("Deployment", root), set(), timeout, clock)
        yield [pod for pod in map(objects.pod, _pods(client, root)) if pod.ready], owned
    except KubeError as error:
        failure = str(error)
        raise
    finally:
        try:
            remove(client, objects.namespace(deployment), objects.name(deployment), clock, _run(deployment))
        except KubeError as error:
            place = f"{objects.namespace(deployment)}/{objects.name(deployment)}"
            left = f"Deployment {place} and what it owns may still be there, until the next run on this path: {error}"
            raise LeftError(failure, left) from error


def remove(client: Client, namespace: str, name: str, clock: Clock, run: str = "") -> bool:
    """Remove the copy of this name with all that it owns; whether there was one.

    run: only if it is of this rehearsal.
    """
    found = exists(client, "Deployment", namespace, name)
    if found is None or (run and _run(found) != run):
        return False
    if not _run(found):
        raise KubeError(f"Deployment {namespace}/{name} is not of a rehearsal; rename or delete it.")
    _scale(client, found, 0)
    _wait_for_no_pods(client, found, clock)
    for kind in objects.text(objects.mapping(objects.metadata(found).get("annotations")).get(OWNS)).split():
        _delete(client, kind, namespace, name)
    _delete(client, "Deployment", namespace, name, objects.text(objects.metadata(found).get("uid")))
    return True


def _run(obj: Object) -> str:
    return objects.labels(obj).get(RUN_LABEL, "")


def _create(client: Client, body: Object) -> Object:
    kind = objects.text(body.get("kind"))
    try:
        return client.create(kind, body, repeatable=True)
    except ConflictError:
        # Our own, whose first answer was lost; or one that somebody else has put there.
        found = client.get(kind, objects.namespace(body), objects.name(body))
        if _run(found) != _run(body):
            raise
        return found


def _owner(root: Object) -> Object:
    uid = objects.metadata(root).get("uid")
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": objects.name(root), "uid": uid}


def _scale(client: Client, root: Object, replicas: int, first: Sequence[Object] = ()) -> None:
    """first: what is patched with it."""
    operations: list[Object] = [
        {"op": "test", "path": "/metadata/uid", "value": objects.metadata(root).get("uid")},
        *first,
        {"op": "replace", "path": "/spec/replicas", "value": replicas},
    ]
    client.patch("Deployment", objects.namespace(root), objects.name(root), operations, repeatable=True)


def _pods(client: Client, root: Object) -> list[Object]:
    return client.list("Pod", objects.namespace(root), f"{RUN_LABEL}={_run(root)}")


def _wait_for_no_pods(client: Client, root: Object, clock: Clock) -> None:
    deadline = clock.now() + GONE_SECONDS
    while _pods(client, root) and clock.now() < deadline:
        clock.sleep(rollout.POLL)


def _delete(client: Client, kind: str, namespace: str, name: str, uid: str = "") -> None:
    try:
        client.delete(kind, namespace, name, uid, repeatable=True)
    except NotFoundError:
        return
