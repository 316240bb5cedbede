# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects as the judges see them: immutable, typed, only the fields that decide something."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

# https://istio.io/latest/docs/reference/config/labels/ : set by the sidecar injector on every pod that it injects.
TLS_MODE_LABEL = "security.istio.io/tlsMode"
# https://istio.io/latest/docs/ambient/ : set by istio-cni on a pod whose traffic ztunnel carries.
AMBIENT_REDIRECTION = "ambient.istio.io/redirection"
SIDECAR_CONTAINER = "istio-proxy"
# Kinds whose pods come from a template, so that a change of the template replaces them.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


class ServicePort(NamedTuple):
    """One entry of `spec.ports`. target_port: number or container port name; transport: TCP, UDP or SCTP."""

    name: str
    number: int
    target_port: int | str
    app_protocol: str | None
    transport: str


class Service(NamedTuple):
    namespace: str
    name: str
    ports: tuple[ServicePort, ...]
    selector: Mapping[str, str]
    cluster_ips: tuple[str, ...]
    external_name: str
    annotations: Mapping[str, str]
    created: str
    object: Object

    @property
    def headless(self) -> bool:
        return self.cluster_ips[:1] == ("None",)

    def port(self, number: int) -> ServicePort | None:
        return next((port for port in self.ports if port.number == number), None)


class Mount(NamedTuple):
    """A ConfigMap in a container's file system.

    sub_path: the only key that is mounted, as the file `path` itself; "" = every key is a file in the folder `path`.
    items: file name by key where the volume chooses and renames keys; empty = all keys under their own names.
    """

    path: str
    config_map: str
    sub_path: str
    items: Mapping[str, str]


class Container(NamedTuple):
    """ports: by name; a port without a name is filed under its number as text.

    env: None where the value comes from another object (`valueFrom`). env_from: ConfigMaps whose keys become variables.
    mounts: of ConfigMaps alone; what stands in Secrets, images and other volumes is not seen.
    """

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    ports: Mapping[str, int]
    env: Mapping[str, str | None]
    env_from: tuple[str, ...]
    mounts: tuple[Mount, ...]


class Pod(NamedTuple):
    """mesh: "sidecar", "ambient" or "none". containers: the application's, without the sidecar.

    sidecar_image: of the istio-proxy container; "" without one.
    """

    namespace: str
    name: str
    ip: str
    labels: Mapping[str, str]
    service_account: str
    ready: bool
    mesh: str
    containers: tuple[Container, ...]
    created: str
    owner_kind: str
    owner_name: str
    object: Object
    sidecar_image: str = ""

    @property
    def sidecar_version(self) -> tuple[int, int] | None:
        """Istio's minor version by the tag of the sidecar's image; None where the tag does not say."""
        found = re.match(r"v?(\d+)\.(\d+)(?:\D|$)", self.sidecar_image.partition("@")[0].rpartition(":")[2])
        return (int(found[1]), int(found[2])) if found else None

    @property
    def workload(self) -> tuple[str, str]:
        """Kind and name of what a user would patch.

        A ReplicaSet of a Deployment is named <deployment>-<pod-template-hash>.
        """
        template_hash = self.labels.get("pod-template-hash", "")
        if self.owner_kind == "ReplicaSet" and template_hash and self.owner_name.endswith(f"-{template_hash}"):
            return "Deployment", self.owner_name[: -len(template_hash) - 1]
        return (self.owner_kind, self.owner_name) if self.owner_name else ("Pod", self.name)


class Workload(NamedTuple):
    """Pods with one owner. At least one pod, except for a workload that is scaled to nothing."""

    kind: str
    namespace: str
    name: str
    pods: tuple[Pod, ...]

    @property
    def labels(self) -> Mapping[str, str]:
        return self.pods[0].labels if self.pods else {}

    @property
    def mesh(self) -> str:
        """The mode that all pods share, "mixed" where they differ, "none" without pods."""
        modes = {pod.mesh for pod in self.pods}
        return modes.pop() if len(modes) == 1 else "mixed" if modes else "none"

    @property
    def ready_pods(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.pods if pod.ready)

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


def text(value: Any) -> str:
    """A scalar of a Kubernetes object as text; "" for what is absent."""
    return "" if value is None else str(value)


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def metadata(obj: Object) -> dict[str, Any]:
    return mapping(obj.get("metadata"))


def spec(obj: Object) -> dict[str, Any]:
    return mapping(obj.get("spec"))


def labels(obj: Object) -> dict[str, str]:
    return {text(key): text(value) for key, value in mapping(metadata(obj).get("labels")).items()}


def namespace(obj: Object) -> str:
    return text(metadata(obj).get("namespace"))


def name(obj: Object) -> str:
    return text(metadata(obj).get("name"))


def created(obj: Object) -> str:
    """RFC 3339 in UTC, so that text order is time order."""
    return text(metadata(obj).get("creationTimestamp"))


def writers(obj: Object) -> list[dict[str, Any]]:
    """The entries of managedFields for the object itself, not for its status or another subresource."""
    entries = map(mapping, sequence(metadata(obj).get("managedFields")))
    return [entry for entry in entries if not entry.get("subresource")]


def reference(kind: str, obj: Object) -> str:
    """`Kind/namespace/name`, the form in which results name objects."""
    return f"{kind}/{namespace(obj)}/{name(obj)}"


def selects(selector: Mapping[str, Any], target: Mapping[str, str]) -> bool:
    """Whether a plain (equality) label selector matches. An empty selector matches everything."""
    return all(target.get(key) == text(value) for key, value in selector.items())


def selector_text(selector: Mapping[str, Any]) -> str:
    """The selector as the `labelSelector` parameter of a list request, in a stable order."""
    return ",".join(f"{key}={text(value)}" for key, value in sorted(selector.items()))


def external_name(obj: Object) -> str:
    """The name that a Service of type ExternalName stands for; "" for every other, whatever its field says."""
    body = spec(obj)
    return text(body.get("externalName")) if body.get("type") == "ExternalName" else ""


def service(obj: Object) -> Service:
    body = spec(obj)
    ports = tuple(
        ServicePort(
            name=text(port.get("name")),
            number=int(port.get("port", 0)),
            target_port=port.get("targetPort", port.get("port", 0)),
            app_protocol=port.get("appProtocol"),
            transport=text(port.get("protocol")) or "TCP",
        )
        for port in map(mapping, sequence(body.get("ports")))
    )
    addresses = sequence(body.get("clusterIPs")) or [body.get("clusterIP")]
    return Service(
        namespace=namespace(obj),
        name=name(obj),
        ports=ports,
        selector=mapping(body.get("selector")),
        cluster_ips=tuple(text(address) for address in addresses if address),
        external_name=external_name(obj),
        annotations=mapping(metadata(obj).get("annotations")),
        created=created(obj),
        object=obj,
    )


def pod(obj: Object) -> Pod:
    body, status = spec(obj), mapping(obj.get("status"))
    every = [mapping(entry) for key in ("containers", "initContainers") for entry in sequence(body.get(key))]
    owner = next(
        (mapping(ref) for ref in sequence(metadata(obj).get("ownerReferences")) if mapping(ref).get("controller")), {}
    )
    volumes = _config_volumes(body)
    conditions = {text(mapping(c).get("type")): mapping(c).get("status") for c in sequence(status.get("conditions"))}
    return Pod(
        namespace=namespace(obj),
        name=name(obj),
        ip=text(status.get("podIP")),
        labels=labels(obj),
        service_account=text(body.get("serviceAccountName")) or "default",
        ready=conditions.get("Ready") == "True" and not metadata(obj).get("deletionTimestamp"),
        mesh=_mesh_mode(obj, every),
        containers=tuple(
            _container(mapping(entry), volumes)
            for entry in sequence(body.get("containers"))
            if mapping(entry).get("name") != SIDECAR_CONTAINER
        ),
        created=created(obj),
        owner_kind=text(owner.get("kind")),
        owner_name=text(owner.get("name")),
        object=obj,
        sidecar_image=next((text(entry.get("image")) for entry in every if entry.get("name") == SIDECAR_CONTAINER), ""),
    )


def _mesh_mode(obj: Object, containers: list[dict[str, Any]]) -> str:
    # A native sidecar is an init container that restarts always; injectors before 1.29 put it among the containers.
    if any(entry.get("name") == SIDECAR_CONTAINER for entry in containers):
        return "sidecar"
    annotations = mapping(metadata(obj).get("annotations"))
    return "ambient" if annotations.get(AMBIENT_REDIRECTION) == "enabled" else "none"


# Name of a volume -> the ConfigMaps in it, each with the file names of its keys.
_Volumes = dict[str, list[tuple[str, dict[str, str]]]]


def _config_volumes(body: dict[str, Any]) -> _Volumes:
    volumes: _Volumes = {}
    for volume in map(mapping, sequence(body.get("volumes"))):
        projected = map(mapping, sequence(mapping(volume.get("projected")).get("sources")))
        for source in (mapping(entry.get("configMap")) for entry in (volume, *projected)):
            items = {
                text(item.get("key")): text(item.get("path")) for item in map(mapping, sequence(source.get("items")))
            }
            if source.get("name"):
                volumes.setdefault(text(volume.get("name")), []).append((text(source.get("name")), items))
    return volumes


def _container(entry: dict[str, Any], volumes: _Volumes) -> Container:
    ports = [mapping(port) for port in sequence(entry.get("ports"))]
    env = [mapping(variable) for variable in sequence(entry.get("env"))]
    env_from = [mapping(mapping(source).get("configMapRef")).get("name") for source in sequence(entry.get("envFrom"))]
    mounts = [
        Mount(text(mount.get("mountPath")).rstrip("/"), config_map, text(mount.get("subPath")), items)
        for mount in map(mapping, sequence(entry.get("volumeMounts")))
        for config_map, items in volumes.get(text(mount.get("name")), [])
    ]
    return Container(
        name=text(entry.get("name")),
        image=text(entry.get("image")),
        command=tuple(map(text, sequence(entry.get("command")))),
        args=tuple(map(text, sequence(entry.get("args")))),
        ports={
            text(port.get("name") or port.get("containerPort")): int(port.get("containerPort", 0)) for port in ports
        },
        env={text(one.get("name")): None if one.get("valueFrom") else text(one.get("value")) for one in env},
        env_from=tuple(text(name) for name in env_from if name),
        mounts=tuple(mounts),
    )


def target_port(port: ServicePort, pod_: Pod) -> int:
    """The container port that a Service port leads to in this pod; 0 where a named port does not exist there."""
    if isinstance(port.target_port, int):
        return port.target_port or port.number
    if port.target_port.isdigit():
        return int(port.target_port)
    return next((c.ports[port.target_port] for c in pod_.containers if port.target_port in c.ports), 0)


def group_by_workload(pods: tuple[Pod, ...]) -> tuple[Workload, ...]:
    """The workloads behind a set of pods, in the order of their first pod."""
    groups: dict[tuple[str, str, str], list[Pod]] = {}
    for entry in pods:
        kind, owner = entry.workload
        groups.setdefault((kind, entry.namespace, owner), []).append(entry)
    return tuple(Workload(kind, ns, owner, tuple(members)) for (kind, ns, owner), members in groups.items())
