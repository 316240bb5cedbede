# SPDX-License-Identifier: GPL-3.0-or-later
"""The mesh's configuration as far as one path needs it, and what of it could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    Object,
    Snapshot,
)

# A path through more namespaces than this, the root namespace included, is read with one list of the whole cluster per
# kind, so that the number of requests stays bounded however many namespaces a path crosses.
NAMESPACED_LISTS = 3
EXPORT_ANNOTATION = "networking.istio.io/exportTo"


class Mesh(NamedTuple):
    """settings: the decoded mesh key of Istio's ConfigMap; lists: objects by kind; unknown: what could not be read, as
    sentences.

    settings is None where the ConfigMap could not be read.
    """

    root_namespace: str
    domain: str
    settings: Mapping[str, Any] | None
    lists: Mapping[str, tuple[Object, ...]]
    unknown: tuple[str, ...]

    def of(self, kind: str) -> tuple[Object, ...]:
        return self.lists.get(kind, ())

    @property
    def auto_mtls(self) -> bool:
        """On unless switched off: istio/istio pkg/config/mesh/mesh.go:82."""
        return bool((self.settings or {}).get("enableAutoMtls", True))

    @property
    def outbound_policy(self) -> str:
        """ALLOW_ANY unless set: pkg/config/mesh/mesh.go:83."""
        return outbound_policy(self.settings) or "ALLOW_ANY"


def outbound_policy(settings: Mapping[str, Any] | None) -> str:
    """outboundTrafficPolicy.mode of mesh settings or of a Sidecar's spec; "" where it is not set there."""
    policy = (settings or {}).get("outboundTrafficPolicy")
    if not isinstance(policy, dict):
        return ""
    # The first value of the enum is REGISTRY_ONLY, and an empty message means it: istio/api mesh/v1alpha1/config.proto.
    return objects.text(policy.get("mode")) or "REGISTRY_ONLY"


def settings_need(question: Question) -> Need:
    revision = question.istio_revision
    name = "istio" if revision in ("", "default") else f"istio-{revision}"
    return Need("get", "MeshConfig", question.istio_namespace, name)


def list_needs(kind: str, namespaces: Iterable[str]) -> tuple[Need, ...]:
    return tuple(Need("list", kind, namespace) for namespace in dict.fromkeys(namespaces))


def namespaced(namespaces: Iterable[str]) -> bool:
    """Whether lists are read namespace by namespace. namespaces: of the path, and the root namespace."""
    return len(set(namespaces)) <= NAMESPACED_LISTS


def read(question: Question, snapshot: Snapshot, clients: Iterable[str], servers: Iterable[str]) -> Mesh:
    """All of the mesh's configuration that decides how requests travel. clients, servers: the namespaces on the path.

    VirtualServices and ServiceEntries apply across namespaces unless exportTo says otherwise, so only a list of the
    whole cluster answers for them. Raises NotReadError.
    """
    root, clients, servers = question.istio_namespace, tuple(clients), tuple(servers)
    settings = settings_need(question)
    lists_in = (root,)
    if not namespaced((*clients, *servers, root)):
        clients, servers, lists_in = (), (), ("",)
    needs = {
        "PeerAuthentication": list_needs("PeerAuthentication", (*servers, *lists_in)),
        "DestinationRule": list_needs("DestinationRule", (*clients, *servers, *lists_in)),
        "Sidecar": list_needs("Sidecar", (*clients, *lists_in)),
        "VirtualService": list_needs("VirtualService", ("",)),
        "ServiceEntry": list_needs("ServiceEntry", ("",)),
    }
    snapshot.require(settings, *(need for group in needs.values() for need in group))
    lists, unknown = {}, []
    for kind, group in needs.items():
        lists[kind], problems = collect(snapshot, group)
        unknown += problems
    answer = snapshot.ask(settings)
    if answer.problem or not answer.objects:
        why = (
            answer.problem
            or f"ConfigMap {settings.namespace}/{settings.name} does not exist; set istio_namespace or istio_revision"
        )
        unknown.append(f"Mesh settings: {why}")
    found = objects.mapping(answer.objects[0].get("mesh")) if answer.objects else None
    return Mesh(root, question.cluster_domain, found, lists, tuple(unknown))


def collect(snapshot: Snapshot, needs: Iterable[Need]) -> tuple[tuple[Object, ...], list[str]]:
    """All objects of several lists, and why any of the lists is not complete."""
    found: list[Object] = []
    problems = []
    for need in needs:
        answer: Answer = snapshot.ask(need)
        found += answer.objects
        if answer.problem:
            where = f"in namespace {need.namespace}" if need.namespace else "in the whole cluster"
            problems.append(f"{need.kind} list {where}: {answer.problem}")
    return tuple(found), problems


def exported_to(obj: Object, client_namespace: str) -> bool:
    """Whether `exportTo` lets a namespace see a VirtualService, DestinationRule or ServiceEntry.

    Unset means everyone.
    """
    export = objects.sequence(objects.spec(obj).get("exportTo"))
    home = objects.namespace(obj)
    return not export or any(
        entry == "*" or (entry == "." and home == client_namespace) or entry == client_namespace for entry in export
    )


def service_exported_to(service: objects.Service, client_namespace: str) -> bool:
    """Whether a Service's annotation lets a namespace see it: pilot/pkg/serviceregistry/kube/conversion.go:84."""
    export = objects.text(service.annotations.get(EXPORT_ANNOTATION))
    entries = [entry.strip() for entry in export.split(",") if entry.strip()]
    return not entries or any(
        entry in ("*", client_namespace) or (entry == "." and service.namespace == client_namespace)
        for entry in entries
    )
