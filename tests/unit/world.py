# SPDX-License-Identifier: GPL-3.0-or-later
"""A small cluster as data, for the pure rooms: the objects of the lab's stack, changed by a test, answered need by
need.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import (
    DEFAULT_OPTIONS,
    Diagnosis,
    diagnose,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    NotReadError,
    Snapshot,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Options
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import config_files, provisioning

Object = dict[str, Any]
NS = "monitoring"
DOMAIN = "svc.cluster.local"
PROXY_HOST = f"prom-label-proxy.{NS}.{DOMAIN}"
PROMETHEUS_HOST = f"prometheus.{NS}.{DOMAIN}"
QUESTION = Question(NS, "grafana", datasource_url=f"http://{PROXY_HOST}:8080")
CREATED = "2026-11-01T00:00:00Z"
USAGE = "  -label string\n  -rewrite-host-header-to string\n    \tif set, rewrites the Host header\n"
USAGE_0_11 = "  -label string\n  -upstream string\n"


def obj(kind: str, name: str, spec: Object, api: str = "v1", namespace: str = NS, **metadata: Any) -> Object:
    """An object as the API server sends it."""
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{kind}-{namespace}-{name}", "resourceVersion": "1"}
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {**meta, "creationTimestamp": CREATED, **metadata},
        "spec": spec,
    }


def istio(kind: str, name: str, spec: Object, namespace: str = NS, **metadata: Any) -> Object:
    group = "security" if "Authentication" in kind or "Authorization" in kind else "networking"
    return obj(kind, name, spec, f"{group}.istio.io/v1", namespace, **metadata)


def workload(name: str, image: str, port: int, args: list[str] | None = None, sidecar: bool = True) -> list[Object]:
    """A Deployment with one ready pod."""
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": image, "args": args or [], "ports": [{"containerPort": port}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    deployment = obj(
        "Deployment", name, {"selector": {"matchLabels": labels}, "replicas": 1, "template": template}, "apps/v1"
    )
    pod_labels = {**labels, "pod-template-hash": "abc"}
    pod_spec: Object = {"containers": [copy.deepcopy(container)], "serviceAccountName": name}
    if sidecar:
        pod_labels["security.istio.io/tlsMode"] = "istio"
        pod_spec["initContainers"] = [
            {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.31.0", "restartPolicy": "Always"}
        ]
    owner = {"kind": "ReplicaSet", "name": f"{name}-abc", "controller": True}
    pod = obj("Pod", f"{name}-abc-1", pod_spec, labels=pod_labels, ownerReferences=[owner])
    address = {"grafana": "10.9.1.2", "prom-label-proxy": "10.9.1.3", "prometheus": "10.9.1.4"}.get(name, "10.9.1.9")
    pod["status"] = {"podIP": address, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return [deployment, pod]


def service(name: str, number: int, port_name: str, address: str, **port: Any) -> Object:
    ports = [{"name": port_name, "port": number, "targetPort": number, "protocol": "TCP", **port}]
    spec = {"selector": {"app.kubernetes.io/name": name}, "ports": ports, "clusterIP": address, "clusterIPs": [address]}
    return obj("Service", name, spec)


class World:
    """The lab's stack: grafana -> prom-label-proxy:8080 -> prometheus:9090 (http-web), STRICT.

    Tests change `objects`.
    """

    def __init__(self) -> None:
        proxy_args = [
            "--insecure-listen-address=0.0.0.0:8080",
            f"--upstream=http://{PROMETHEUS_HOST}:9090",
            "--label=namespace",
        ]
        self.objects: list[Object] = [
            *workload("grafana", "docker.io/grafana/grafana:12.0.0", 3000),
            *workload("prom-label-proxy", "quay.io/prometheuscommunity/prom-label-proxy:v0.15.0", 8080, proxy_args),
            *workload("prometheus", "quay.io/prometheus/prometheus:v2.42.0", 9090),
            service("prom-label-proxy", 8080, "http", "10.96.0.3"),
            service("prometheus", 9090, "http-web", "10.96.0.4"),
            obj("Namespace", NS, {}, namespace=""),
            istio("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        ]
        self.mesh: Object = {}
        self.logs: dict[str, str] = {}
        # What each pod's Envoy runs on, as _model.envoy_plain makes it; the others cannot be asked.
        self.envoys: dict[str, Object] = {}
        self.usage: Answer = Answer(text=USAGE)
        self.refused: dict[str, str] = {}
        self.datasources: list[Object] = []
        # Kinds whose CustomResourceDefinition is not installed.
        self.unserved: set[str] = set()
        self.asked: list[Need] = []

    def add(self, *added: Object) -> World:
        self.objects += added
        return self

    def get(self, kind: str, name: str, namespace: str = NS) -> Object:
        return next(
            o
            for o in self.objects
            if o["kind"] == kind and o["metadata"]["name"] == name and o["metadata"]["namespace"] == namespace
        )

    def remove(self, kind: str, name: str) -> World:
        self.objects.remove(self.get(kind, name))
        return self

    def port(self, of: str, **fields: Any) -> World:
        """Sets fields of the first port of a Service."""
        self.get("Service", of)["spec"]["ports"][0].update(fields)
        return self

    def peer_authentication(self, mode: str) -> World:
        self.get("PeerAuthentication", "default")["spec"]["mtls"]["mode"] = mode
        return self

    def proxy_args(self, change: Callable[[list[str]], list[str]]) -> World:
        for kind, name in (("Deployment", "prom-label-proxy"), ("Pod", "prom-label-proxy-abc-1")):
            spec = self.get(kind, name)["spec"]
            container = (spec["template"]["spec"] if kind == "Deployment" else spec)["containers"][0]
            container["args"] = change(container["args"])
        return self

    def answer(self, need: Need) -> Answer:
        self.asked.append(need)
        if need.kind in self.refused:
            return Answer(problem=self.refused[need.kind])
        if need.verb == "help":
            return self.usage
        if need.verb == "envoy":
            found = self.envoys.get(need.name)
            return Answer((found,)) if found else Answer(problem="exec is forbidden")
        if need.verb == "log":
            return Answer(text=self.logs.get(need.name, ""))
        if need.kind == "MeshConfig":
            return Answer(objects=({"metadata": {"name": need.name}, "mesh": self.mesh},))
        if need.kind in self.unserved:
            return Answer(served=False)
        if need.kind == "SecretDataSource":
            secrets = (o for o in self.objects if o["kind"] == "Secret" and self._loaded(o, need))
            return provisioning.answer(secrets, ())
        if need.kind == "DataSource":
            return Answer(objects=tuple(self.datasources))
        if need.verb == "get" and need.kind in (config_files.TEXTS, config_files.DOCUMENTS):
            found = (o for o in self.objects if self._asked_for(o, need._replace(kind="ConfigMap")))
            return Answer(objects=tuple(config_files.masked(need.kind, config_map) for config_map in found))
        return Answer(objects=tuple(o for o in self.objects if self._asked_for(o, need)))

    def _loaded(self, candidate: Object, need: Need) -> bool:
        metadata = candidate["metadata"]
        labelled = bool(need.selector) and need.selector in metadata.get("labels", {})
        return labelled or metadata["name"] in need.name.split(",")

    def _asked_for(self, candidate: Object, need: Need) -> bool:
        meta = candidate["metadata"]
        wanted = dict(pair.split("=", 1) for pair in need.selector.split(",") if pair)
        return (
            candidate["kind"] == need.kind
            and (not need.namespace or meta["namespace"] == need.namespace)
            and (not need.name or meta["name"] == need.name)
            and all(meta.get("labels", {}).get(key) == value for key, value in wanted.items())
        )

    def snapshot(self, question: Question = QUESTION) -> Snapshot:
        """Everything that a diagnosis asks for, answered."""
        return self._read(question, DEFAULT_OPTIONS)[0]

    def diagnose(self, question: Question = QUESTION, options: Options = DEFAULT_OPTIONS) -> Diagnosis:
        return self._read(question, options)[1]

    def _read(self, question: Question, options: Options) -> tuple[Snapshot, Diagnosis]:
        snapshot = Snapshot()
        while True:
            try:
                return snapshot, diagnose(question, snapshot, options)
            except NotReadError as open_needs:
                snapshot = snapshot.extended({need.key: copy.deepcopy(self.answer(need)) for need in open_needs.needs})
