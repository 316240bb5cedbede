# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings meshes about on the lab, one after the other in a slot, and fetches what istiod then gives the sidecars."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import yaml
from meshlab import waiting
from meshlab.api import MERGE, Api, ApiError
from meshlab.settings import folders

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from differential import settled
from differential.generator import TLS_MODE, Object, Slot
from differential.witness import Seen

PATIENCE = 20.0


class Bench:
    """One slot of the lab. Fit for one thread."""

    def __init__(self, slot: Slot) -> None:
        places = folders()
        self.slot, self.api = slot, Api(places)
        self.client = Client(config.connect({"kubeconfig": str(places.kubeconfig)}))
        self.present: list[Object] = []
        self.rounds = itertools.count()

    def prepare(self) -> None:
        """Make the slot's namespaces and pods, and wait until the pods are ready. Raises LabError."""
        for namespace in (self.slot.client, self.slot.server):
            path = f"/api/v1/namespaces/{namespace}"
            waiting.until(lambda path=path: not self._ends(path), f"the end of namespace {namespace}", 60.0, pause=0.3)
            self.api.apply(_namespace(namespace))
        for namespace in (self.slot.client, self.slot.server):
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
            waiting.until(lambda path=path: self.api.exists(path), f"ServiceAccount in {namespace}", PATIENCE)
        for pod in _pods(self.slot):
            if not self.api.exists(self.api.path(pod)):
                self.api.request("POST", self.api.path(pod).rpartition("/")[0], pod)
        waiting.until(self._ready, f"the pods of {self.slot.client} and {self.slot.server}", 60.0, pause=0.3)

    def _ends(self, path: str) -> bool:
        found = self.api.get_or_none(path)
        return found is not None and found["status"]["phase"] == "Terminating"

    def _ready(self) -> bool:
        ready = {"type": "Ready", "status": "True"}.items()
        conditions = (pod["status"].get("conditions", []) for pod in self.pods())
        return [any(ready <= entry.items() for entry in found) for found in conditions] == [True] * len(
            _pods(self.slot)
        )

    def pods(self) -> list[Object]:
        return [
            {**pod, "kind": "Pod"}
            for namespace in (self.slot.client, self.slot.server)
            for pod in self.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        ]

    def clear(self) -> None:
        """Delete what the last mesh consisted of."""
        for obj in self.present:
            if obj["kind"] == "Pod":
                self._label({**obj, "metadata": {**obj["metadata"], "labels": {TLS_MODE: "istio"}}})
                continue
            try:
                self.api.request("DELETE", self.api.path(obj))
            except ApiError as error:
                if error.status != 404:
                    raise
        self.present = []

    def leave(self) -> None:
        """Delete the slot's namespaces, without waiting until they are gone."""
        for namespace in (self.slot.client, self.slot.server):
            self.api.request("DELETE", f"/api/v1/namespaces/{namespace}")

    def _label(self, pod: Object) -> None:
        body = {"metadata": {"labels": pod["metadata"]["labels"]}}
        self.api.request("PATCH", self.api.path(pod), body, MERGE)

    def sweep(self) -> None:
        """Delete what an earlier run left behind."""
        for version, kind in SWEPT:
            plural, _namespaced = self.api.resource(version, kind)
            group = "/api/v1" if version == "v1" else f"/apis/{version}"
            for namespace in (self.slot.client, self.slot.server):
                for found in self.api.get(f"{group}/namespaces/{namespace}/{plural}")["items"]:
                    self.present.append({**found, "apiVersion": version, "kind": kind})
        self.clear()

    def show(self, mesh: Sequence[Object]) -> Seen:
        """Bring a mesh about; what the API server refuses of it is left out. Raises LabError."""
        self.clear()
        made = [found for obj in mesh if (found := self._create(obj))]
        mark = f"{settled.MARK}{next(self.rounds)}-{time.monotonic_ns()}"
        for namespace in (self.slot.client, self.slot.server):
            self._create(settled.mark(namespace, mark))
        for namespace, pod in ((self.slot.client, "client"), (self.slot.server, "server")):
            settled.wait(self.client, namespace, pod, mark)
        time.sleep(settled.REST)
        return self.look(made)

    def look(self, made: Sequence[Object]) -> Seen:
        """What the sidecars have now."""
        settings = self.api.get("/api/v1/namespaces/istio-system/configmaps/istio")["data"]["mesh"]
        return Seen(
            self.slot,
            [*made, *self.pods()],
            yaml.safe_load(settings),
            settled.dump(self.client, self.slot.client, "client", self._names()),
            settled.dump(self.client, self.slot.server, "server", "virtualInbound"),
        )

    def _names(self) -> str:
        ports = "|".join(map(str, self.slot.ports))
        return rf"(.*[_:|])?({ports})(\|.*)?|virtualOutbound|PassthroughCluster|BlackHoleCluster"

    def _create(self, obj: Object) -> Object | None:
        if obj["kind"] == "Pod":
            self._label(obj)
            self.present.append(obj)
            return None
        try:
            made: Object = self.api.request("POST", self.api.path(obj).rpartition("/")[0], obj)
        except ApiError as error:
            # istiod's and Kubernetes' own validation: such a mesh cannot exist.
            if error.status in (400, 422):
                return None
            raise
        self.present.append(made)
        return made


SWEPT = (
    ("v1", "Service"),
    ("networking.istio.io/v1", "DestinationRule"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("networking.istio.io/v1", "Sidecar"),
    ("networking.istio.io/v1", "VirtualService"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
)


def _namespace(name: str) -> Object:
    labels = {"istio-injection": "enabled"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _pods(slot: Slot) -> list[Object]:
    return [
        _pod(slot.client, "client", {"app": "client"}, slot),
        _pod(slot.server, "server", {"app": "server", "tier": "back"}, slot),
        _pod(slot.server, "bare", {"app": "bare", "tier": "back", "sidecar.istio.io/inject": "false"}, slot),
    ]


def _pod(namespace: str, name: str, labels: dict[str, str], slot: Slot) -> Object:
    container = {
        "name": "app",
        "image": "docker.io/curlimages/curl:8",
        "args": ["sleep", "infinity"],
        "ports": [{"name": "named", "containerPort": slot.ports[0]}],
    }
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
