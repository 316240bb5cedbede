# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts policies before Prometheus, one after the other, and asks it as several callers on new connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from catalogue.witness import PORT, RIGHT_HOST, SERVER, kubectl
from differential import settled
from meshlab.api import Api, Manifest
from meshlab.settings import Folders
from stage import scenario, setting
from stage.world import NAMESPACE

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from policies.generator import PROVIDER
from policies.judge import ANONYMOUS

# Caller: Deployment and container to ask from. What Istio's own user sends passes the sidecar by, hence without mTLS.
CALLERS = {
    "client2": ("client2", "curl"),
    "prom-label-proxy": ("prom-label-proxy", "prom-label-proxy"),
    ANONYMOUS: ("client2", "istio-proxy"),
}
# Any Service will do: one that is not there would make Istio deny everything, and what it answers is not compared.
PROVIDERS = [
    {"name": PROVIDER, "envoyExtAuthzHttp": {"service": f"grafana.{NAMESPACE}.svc.cluster.local", "port": 3000}}
]
# A sidecar keeps connections, which keep the policies that they met; with this rule each request has one of its own.
ONE_EACH = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "one-request-for-each-connection", "namespace": NAMESPACE},
    "spec": {"host": RIGHT_HOST, "trafficPolicy": {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}}},
}


def world(protocol: str) -> scenario.Scenario:
    """Everybody may come, with mTLS or without; Prometheus' port is of a protocol."""
    base = scenario.load("permissive")
    edits = [{"object": f"Service/{SERVER}", "set": {"/spec/ports/0/appProtocol": protocol}}]
    changed = scenario.edit([*base.objects, ONE_EACH], edits)
    return base._replace(objects=tuple(changed), mesh=(f"extensionProviders={json.dumps(PROVIDERS)}",))


class Bench:
    """The lab, with one policy at a time."""

    def __init__(self, api: Api, places: Folders) -> None:
        self.api, self.places = api, places
        self.client = Client(config.connect({"kubeconfig": str(places.kubeconfig)}))

    def server(self) -> Workload:
        """Prometheus as it runs now."""
        found = self.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/name={SERVER}")
        pods = [objects.pod({**pod, "kind": "Pod"}) for pod in found["items"]]
        return objects.group_by_workload(tuple(pods))[0]

    def measure(
        self, protocol: str, wanted: list[Manifest], told: Callable[[int], None]
    ) -> Iterator[Mapping[str, bool]]:
        """Whom each policy lets in. told: hears how many are done. Raises LabError."""
        setting.bring_about(self.api, self.places, world(protocol))
        pod = self.server().pods[0].name
        with ThreadPoolExecutor(len(CALLERS)) as pool:
            for count, policy in enumerate(wanted):
                mark = settled.mark(NAMESPACE, f"{settled.MARK}{protocol}-{count}")
                for obj in (policy, mark):
                    self.api.request("POST", self._path(obj, False), obj)
                settled.wait(self.client, NAMESPACE, pod, mark["metadata"]["name"])
                answers = pool.map(self._admitted, CALLERS.values())
                yield dict(zip(CALLERS, answers, strict=True))
                for obj in (policy, mark):
                    self.api.request("DELETE", self._path(obj, True))
                told(count + 1)

    def _path(self, obj: Manifest, named: bool) -> str:
        path = self.api.path(obj)
        return path if named else path.rpartition("/")[0]

    def _admitted(self, place: tuple[str, str]) -> bool:
        deployment, container = place
        url = f"http://{RIGHT_HOST}:{PORT}/api/v1/query?query=up"
        curl: list[Any] = ["curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", url]
        done = kubectl(self.places, "exec", f"deployment/{deployment}", "--container", container, "--", *curl)
        return done.stdout == "200"
