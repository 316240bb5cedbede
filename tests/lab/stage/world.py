# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the cluster to exactly what a scenario describes: nothing more is left of what ran before.

Deleting the namespace would do it too, but then everything in it starts anew, which takes several times as long.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from meshlab import manifests, namespaces, waiting
from meshlab.api import Api, ApiError, Manifest
from meshlab.errors import LabError

from stage.place import NAMESPACE
from stage.scenario import identity

# A second one, for worlds in which the proxy is not beside Prometheus.
GUESTS = "tenants"
PATIENCE = 90.0
RESTARTED = "meshlab/restarted"
POD_ADDRESS = re.compile(r"\$\{pod-address:([a-z0-9-]+)\}")
# Whose connections outlive a change: a scenario starts with a new pod of it.
PROXY = ("Deployment", "prom-label-proxy")

# What scenarios and fixes create, as (API version, kind).
SWEPT = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("coordination.k8s.io/v1", "Lease"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("networking.istio.io/v1", "Sidecar"),
    ("networking.istio.io/v1", "VirtualService"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("security.istio.io/v1", "RequestAuthentication"),
    ("telemetry.istio.io/v1", "Telemetry"),
)
# What the cluster itself puts into every namespace.
NATIVE = frozenset(
    {("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "istio-ca-root-cert"), ("ServiceAccount", "default")}
)
FIRST = ("Namespace", "ServiceAccount", "ConfigMap", "Secret")


def bring_about(
    api: Api, objects: Iterable[Manifest], failing: Collection[str] = (), anew: Collection[str] = ()
) -> float:
    """Make the namespace hold these objects and no others, with a new pod of the proxy, and wait until all are ready.

    What is in the guests' namespace is always new.
    failing: Deployments whose pods are to have ended by themselves in place of being ready. anew: Deployments that get
    new pods too, so that none of their connections is from before.
    Returns when the last object was written, of the monotonic clock.
    Raises LabError where that does not happen in time, ApiError where the API server refuses an object.
    """
    wanted = [_fresh(manifest, {PROXY[1], *anew}) for manifest in objects]
    early = [manifest for manifest in wanted if manifest["kind"] in FIRST]
    late = [manifest for manifest in wanted if manifest["kind"] not in FIRST]
    namespaces.clean(api, GUESTS)
    manifests.apply(api, [manifest for manifest in early if manifest["kind"] == "Namespace"])
    sweep(api, {identity(manifest) for manifest in wanted if manifest["metadata"].get("namespace") == NAMESPACE})
    for group in ([manifest for manifest in early if manifest["kind"] != "Namespace"], late):
        with ThreadPoolExecutor(manifests.THREADS) as pool:
            for _done in pool.map(lambda manifest: replace(api, manifest), group):
                continue
    written = time.monotonic()
    wait_until_ready(api, failing)
    return written


def add(api: Api, objects: Iterable[Manifest]) -> None:
    """Create or replace objects; no pod is replaced, so that connections stay open. Raises ApiError."""
    for manifest in objects:
        replace(api, manifest)


def with_addresses(api: Api, manifest: Manifest) -> Manifest:
    """Put a pod's address where the manifest says ``${pod-address:<Deployment>}``. Raises LabError without a pod."""

    def address(found: re.Match[str]) -> str:
        pods = listing(api, "v1", "Pod")
        for pod in pods:
            if pod["metadata"]["name"].startswith(f"{found[1]}-") and pod["status"].get("podIP"):
                return str(pod["status"]["podIP"])
        raise LabError(f"{found[1]} has no pod with an address.")

    filled: Manifest = json.loads(POD_ADDRESS.sub(address, json.dumps(manifest)))
    return filled


def _fresh(manifest: Manifest, names: Collection[str]) -> Manifest:
    kind, name = identity(manifest)
    if kind != "Deployment" or name not in names:
        return manifest
    stamped = copy.deepcopy(manifest)
    template = stamped["spec"]["template"].setdefault("metadata", {})
    template["annotations"] = {**(template.get("annotations") or {}), RESTARTED: str(time.time())}
    return stamped


def listing(api: Api, version: str, kind: str) -> list[Manifest]:
    """Return the namespace's objects of one kind; none where the namespace is not there."""
    found = api.get(_base(api, version, kind).rstrip("/"))
    items: list[Manifest] = found["items"]
    return items


def _base(api: Api, version: str, kind: str) -> str:
    return api.path({"apiVersion": version, "kind": kind, "metadata": {"name": "", "namespace": NAMESPACE}})


def sweep(api: Api, wanted: set[tuple[str, str]]) -> None:
    """Delete what is in the namespace and not wanted."""
    doomed = [
        _base(api, version, kind) + found["metadata"]["name"]
        for version, kind in SWEPT
        for found in listing(api, version, kind)
        if (kind, found["metadata"]["name"]) not in wanted | NATIVE
    ]
    with ThreadPoolExecutor(manifests.THREADS) as pool:
        for _done in pool.map(lambda path: _delete(api, path), doomed):
            continue


def _delete(api: Api, path: str) -> None:
    # A Deployment stays until its pods have gone.
    foreground = {"propagationPolicy": "Foreground"} if "/deployments/" in path else None
    try:
        api.request("DELETE", path, foreground)
    except ApiError as error:
        if error.status != 404:
            raise


def replace(api: Api, manifest: Manifest) -> None:
    """Create the object, or put it in the place of the one that is there: fields that others added vanish.

    So does what they applied by server-side apply: an owner of the world before is none in this one.
    """
    path = api.path(manifest)
    found = api.get_or_none(path)
    if found is None:
        api.request("POST", path.rpartition("/")[0], manifest)
        return
    body = copy.deepcopy(manifest)
    body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
    fields = found["metadata"].get("managedFields", [])
    # An empty list would leave all as they are: kubernetes.io/docs/reference/using-api/server-side-apply
    body["metadata"]["managedFields"] = [entry for entry in fields if entry["operation"] != "Apply"] or [{}]
    api.request("PUT", path, body)


def restart_proxy(api: Api) -> None:
    """Replace the proxy's pod, so that none of its old connections answers."""
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{PROXY[1]}"
    annotations = {"metadata": {"annotations": {RESTARTED: str(time.time())}}}
    api.request("PATCH", path, {"spec": {"template": annotations}}, "application/merge-patch+json")
    wait_until_ready(api)


def wait_until_ready(api: Api, failing: Collection[str] = ()) -> None:
    """Wait until every Deployment has rolled out and no pod of an older one is left. Raises LabError."""
    waiting.until(
        lambda: not unready(api, failing),
        "the start of all pods",
        PATIENCE,
        why=lambda: "; ".join(unready(api, failing)),
        pause=0.2,
    )


def unready(api: Api, failing: Collection[str] = ()) -> list[str]:
    """What is not as it should be yet, as sentences."""
    found, pods, expected = [], [], 0
    for namespace in (NAMESPACE, GUESTS):
        pods += api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        for deployment in api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]:
            expected += deployment["spec"]["replicas"]
            if not _rolled_out(deployment, failing):
                found.append(f"Deployment {deployment['metadata']['name']} has not rolled out")
    found += [f"no pod of {name} has ended" for name in failing if not _ended(pods, name)]
    return found if found or len(pods) == expected else [f"{len(pods)} pods are there, {expected} are wanted"]


def _rolled_out(deployment: Manifest, failing: Collection[str]) -> bool:
    meta, replicas, status = deployment["metadata"], deployment["spec"]["replicas"], deployment.get("status", {})
    counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")]
    current: bool = status.get("observedGeneration", 0) >= meta["generation"]
    return current and counts == [replicas, replicas, 0 if meta["name"] in failing else replicas]


def _ended(pods: Iterable[Manifest], deployment: str) -> bool:
    """Whether a container of the Deployment's pods has ended and was started again."""
    return any(
        container.get("restartCount")
        for pod in pods
        if pod["metadata"]["name"].startswith(f"{deployment}-")
        for container in pod["status"].get("containerStatuses", [])
    )
