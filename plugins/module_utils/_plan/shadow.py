# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the proxy beside production, on which a fix can be tried: what it is made of, and the path through it.

The copy is a Deployment of one pod that no Service leads to: queries reach it by a port-forward, which ends at the
program's own port. It has the proxy's pod template (image, arguments, ServiceAccount) and labels of its own, so that
nothing that selects the proxy's pods selects it. Policies that guard the proxy by its labels do not guard the copy
either, so an AuthorizationPolicy closes it to everybody in the mesh; a port-forward does not pass it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, ServicePort, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path, Step
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import json_patch, stand_in
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import (
    CREATE,
    MANAGED_BY,
    MANAGER,
    PATCH,
    Change,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.json_patch import Operation
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.stand_in import NotRehearsableError

RUN_LABEL = "istio-remediation.meshops/rehearsal"
# Kinds of what a copy owns, for whoever finds it after a run that was killed.
OWNS = "istio-remediation.meshops/owns"
# Of the template's labels only those that decide whether and by which control plane a sidecar is injected.
INJECTION_LABELS = ("sidecar.istio.io/inject", "istio.io/rev")
# Where Istio's configuration chooses clients by their labels; VirtualServices do so rule by rule.
_SELECTORS = (("Sidecar", "labels"), ("EnvoyFilter", "labels"), ("DestinationRule", "matchLabels"))


class Shadow(NamedTuple):
    """bodies  first its Deployment, without a pod yet (`replicas: 0`), then what that owns, which comes before its pod
    hop     of the hop that begins with it
    port    of the proxy's Service, which says on what port the program listens
    host    the Host with which requests reach the proxy
    base    what comes before /api in their paths
    dialled    the name that leads the copy to the Service among the bodies; "" where there is none
    not_shown  what a copy leaves open, as sentences
    """

    bodies: tuple[Object, ...]
    hop: int
    port: ServicePort
    host: str
    base: str
    dialled: str = ""
    not_shown: tuple[str, ...] = ()


def name(path_id: str) -> str:
    """The name of all objects of a rehearsal: one at a time on a path, as its Lease makes sure."""
    return f"istio-remediation-shadow-{path_id}"


def build(path: Path, index: int, workload: Object, changes: Iterable[Change], path_id: str, run: str) -> Shadow:
    """The copy of the client of a hop, with a plan's changes made to it alone.

    workload: that client as it is now. run: names this rehearsal, as a label's value. Raises NotRehearsableError, and
    PatchError where the workload is not what the plan was made for.
    """
    _refuse_what_no_copy_shows(path, index)
    hop, before = path.hops[index], path.hops[index - 1]
    own = _Own(name(path_id), objects.namespace(workload), run)
    labels = own.labels | {key: text for key, text in hop.step.client.labels.items() if key in INJECTION_LABELS}
    changes = tuple(changes)
    _refuse_what_follows_labels(path, before.step, labels, {change.target.uid for change in changes})
    companions = [own.body("security.istio.io/v1", "AuthorizationPolicy", _closed(labels))]
    copied, dialled = workload, ""
    not_shown: tuple[str, ...] = ()
    for change in changes:
        target = change.target
        if change.action == PATCH and target.uid == objects.metadata(workload).get("uid"):
            copied = json_patch.apply(copied, list(change.patch))
        elif change.action == CREATE and target.kind == "VirtualService" and target.namespace == own.namespace:
            companions.append(own.body(target.api_version, target.kind, _for_source(objects.spec(change.body), labels)))
        elif target.kind == "DestinationRule":
            spec = stand_in.rule(path.mesh, hop, change, labels, own.namespace)
            companions.append(own.body(target.api_version, target.kind, spec))
            not_shown += stand_in.not_shown(hop, change)
        elif target.kind == "Service" and target.uid == objects.metadata(hop.step.service.object).get("uid"):
            body = own.body(target.api_version, target.kind, {})
            companions.append(stand_in.service(path.mesh, hop, change, body, labels))
            dialled = hop.step.endpoint.host
            not_shown += stand_in.not_shown(hop, change)
        else:
            raise NotRehearsableError(f"{target} is not what a copy of {hop.step.client} would show.")
    template = _template(copied, labels)
    if dialled and dialled in _resolved(template["spec"]):
        raise NotRehearsableError(f"Pods of {objects.name(workload)} resolve {dialled} by themselves (hostAliases).")
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    deployment = own.body("apps/v1", "Deployment", spec)
    deployment["metadata"]["annotations"] = {OWNS: " ".join(companion["kind"] for companion in companions)}
    return Shadow(
        bodies=(deployment, *companions),
        hop=index,
        port=before.step.port,
        host=before.route.host_after or before.host,
        base=urlsplit(before.step.url).path.rstrip("/"),
        dialled=dialled,
        not_shown=not_shown,
    )


def alias(copied: Shadow, service: Object) -> list[Operation]:
    """What leads the copy to its Service, as a patch of its Deployment. service: as the API server has it."""
    addresses = objects.service(service).cluster_ips
    entries = [{"ip": address, "hostnames": [copied.dialled]} for address in addresses]
    path = ("spec", "template", "spec", "hostAliases")
    there = objects.sequence(objects.mapping(copied.bodies[0]["spec"]["template"]["spec"]).get("hostAliases"))
    return [{"op": "add", "path": json_patch.pointer(*path), "value": [*there, *entries]}]


def path_through(path: Path, copied: Shadow, standing: Sequence[Object], pods: Sequence[Pod]) -> Path:
    """The path from the copy onward. standing: what the copy owns, as the API server has it. pods: the copy's."""
    hop = path.hops[copied.hop]
    client = Workload("Deployment", pods[0].namespace, pods[0].workload[1], tuple(pods))
    step = hop.step._replace(client=client)
    for body in standing:
        if body.get("kind") == "Service":
            step = stand_in.at(step, body)
    return path._replace(hops=(hop._replace(step=step), *path.hops[copied.hop + 1 :]))


class _Own(NamedTuple):
    """Name, place and mark of whatever is ours in a rehearsal."""

    name: str
    namespace: str
    run: str

    @property
    def labels(self) -> dict[str, str]:
        return {RUN_LABEL: self.run}

    def body(self, api_version: str, kind: str, spec: dict[str, Any]) -> Object:
        labels = {**self.labels, MANAGED_BY: MANAGER}
        metadata = {"namespace": self.namespace, "name": self.name, "labels": labels}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _closed(labels: dict[str, str]) -> dict[str, Any]:
    """A rule without conditions matches every request:
    https://istio.io/latest/docs/reference/config/security/authorization-policy/#Rule
    """
    return {"selector": {"matchLabels": labels}, "action": "DENY", "rules": [{}]}


def _for_source(spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """The VirtualService for the copy alone."""
    changed = copy.deepcopy(spec)
    for match in (match for rule in changed["http"] for match in rule["match"]):
        match["sourceLabels"] = dict(labels)
    return changed


def _resolved(spec: dict[str, Any]) -> list[Any]:
    """The names that a pod resolves by itself."""
    aliases = map(objects.mapping, objects.sequence(spec.get("hostAliases")))
    return [name for entry in aliases for name in objects.sequence(entry.get("hostnames"))]


def _template(workload: Object, labels: dict[str, str]) -> dict[str, Any]:
    """The pod template under other labels."""
    template = objects.mapping(objects.spec(workload).get("template"))
    spec = objects.mapping(template.get("spec"))
    containers = [objects.mapping(entry) for entry in objects.sequence(spec.get("containers"))]
    ports = [objects.mapping(port) for entry in containers for port in objects.sequence(entry.get("ports"))]
    volumes = [objects.mapping(entry) for entry in objects.sequence(spec.get("volumes"))]
    taken = [
        text
        for text, found in (
            ("the node's network", spec.get("hostNetwork")),
            ("a port of its node", any(port.get("hostPort") for port in ports)),
            ("a PersistentVolumeClaim", any("persistentVolumeClaim" in volume for volume in volumes)),
        )
        if found
    ]
    if taken:
        raise NotRehearsableError(
            f"Pods of {objects.name(workload)} use {taken[0]}, which a copy would take from them."
        )
    annotations = objects.mapping(objects.metadata(template).get("annotations"))
    # Nobody is to scrape the copy.
    kept = {key: text for key, text in annotations.items() if not key.startswith("prometheus.io/")}
    return {"metadata": {"labels": labels, "annotations": kept}, "spec": copy.deepcopy(spec)}


def _refuse_what_no_copy_shows(path: Path, index: int) -> None:
    if index == 0:
        raise NotRehearsableError(f"The fix is about {path.grafana} itself, of which no copy is made.")
    before, client = path.hops[index - 1].step, path.hops[index].step.client
    if path.datasource.headers:
        raise NotRehearsableError(
            f"The data source sends headers of its own ({', '.join(path.datasource.headers)}), whose values are "
            "secret, so a query without them would not be the user's."
        )
    if before.endpoint.scheme != "http":
        raise NotRehearsableError(
            f"{client} is asked by {before.endpoint.scheme}, which a port-forward does not speak."
        )


def _refuse_what_follows_labels(path: Path, before: Step, labels: dict[str, str], changed: set[str]) -> None:
    """Configuration that holds for the proxy by labels that the copy lacks; a Service that would lead to the copy.

    changed: the uids of what the fix changes; that stands beside the copy under other labels.
    """
    proxy = before.server
    for what, uid, selector in _chosen_by_labels(path, proxy.namespace):
        if uid not in changed and objects.selects(selector, proxy.labels) and not objects.selects(selector, labels):
            raise NotRehearsableError(
                f"{what} holds for {proxy} by its labels, which its copy must not have, so the copy would meet another "
                "configuration."
            )
    for service in before.services.selecting(proxy.pods[0]._replace(labels=labels)):
        raise NotRehearsableError(f"Service {service.namespace}/{service.name} would lead to the copy too.")


def _chosen_by_labels(path: Path, namespace: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for kind, key in _SELECTORS:
        for obj in path.mesh.of(kind):
            selector = objects.mapping(objects.mapping(objects.spec(obj).get("workloadSelector")).get(key))
            if selector and objects.namespace(obj) in (namespace, path.mesh.root_namespace):
                yield objects.reference(kind, obj), objects.metadata(obj).get("uid"), selector
    for obj in path.mesh.of("VirtualService"):
        rules = [objects.mapping(r) for k in ("http", "tcp", "tls") for r in objects.sequence(objects.spec(obj).get(k))]
        for match in (objects.mapping(match) for rule in rules for match in objects.sequence(rule.get("match"))):
            if selector := objects.mapping(match.get("sourceLabels")):
                yield objects.reference("VirtualService", obj), objects.metadata(obj).get("uid"), selector
