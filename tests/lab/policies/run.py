# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts policies before Prometheus, one after the other, and asks it as several callers on new connections."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from catalogue.witness import PORT, RIGHT_HOST, SERVER, kubectl
from differential import settled
from meshlab.api import Api, Manifest
from meshlab.settings import Folders
from stage import scenario, setting
from stage.place import NAMESPACE

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from policies.generator import PROVIDER
from policies.judge import ANONYMOUS, Measured

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
# A server for each protocol, by the label that tells its pods apart.
SERVERS = {"http": SERVER, "tcp": f"{SERVER}-tcp"}
LABEL = "policies/protocol"
# A sidecar keeps connections, which keep the policies that they met; with this rule each request has one of its own.
ONE_EACH = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "one-request-for-each-connection", "namespace": NAMESPACE},
    "spec": {"host": RIGHT_HOST, "trafficPolicy": {"connectionPool": {"http": {"maxRequestsPerConnection": 1}}}},
}


def world() -> scenario.Scenario:
    """Everybody may come, with mTLS or without, to two pods of Prometheus: the port of one is HTTP, the other's TCP."""
    base = scenario.load("permissive")
    known = {scenario.identity(manifest): manifest for manifest in base.objects}
    made = [_with_protocol(known[kind, SERVER], protocol) for kind in ("Deployment", "Service") for protocol in SERVERS]
    return base._replace(
        objects=tuple(scenario.lay(base.objects, [*made, ONE_EACH])),
        mesh=(f"extensionProviders={json.dumps(PROVIDERS)}",),
    )


def _with_protocol(manifest: Manifest, protocol: str) -> Manifest:
    """A Deployment or Service of Prometheus, changed to the one for a protocol."""
    made = copy.deepcopy(manifest)
    made["metadata"]["name"] = SERVERS[protocol]
    spec = made["spec"]
    if made["kind"] == "Service":
        spec["selector"][LABEL] = protocol
        spec["ports"][0]["appProtocol"] = protocol
        return made
    spec["template"]["metadata"]["labels"][LABEL] = protocol
    if SERVERS[protocol] != SERVER:
        # The selector of a Deployment that is there already stays as it is.
        spec["selector"]["matchLabels"][LABEL] = protocol
    return made


class Bench:
    """The lab, with one policy at a time."""

    def __init__(self, api: Api, places: Folders) -> None:
        self.api, self.places = api, places
        self.client = Client(config.connect({"kubeconfig": str(places.kubeconfig)}))

    def servers(self) -> tuple[Pod, ...]:
        """Prometheus' pods as they run now, one for each protocol."""
        found = self.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/name={SERVER}")
        return tuple(objects.pod({**pod, "kind": "Pod"}) for pod in found["items"])

    def measure(self, wanted: list[Manifest], told: Callable[[int], None]) -> Iterator[Measured]:
        """Whom each policy lets in, on HTTP and on TCP. told: hears how many are done. Raises LabError."""
        setting.bring_about(self.api, self.places, world())
        pods = [pod.name for pod in self.servers()]
        with ThreadPoolExecutor(len(CALLERS) * len(SERVERS)) as pool:
            for count, policy in enumerate(wanted):
                mark = settled.mark(NAMESPACE, f"{settled.MARK}{count}")
                for obj in (policy, mark):
                    self.api.request("POST", self._path(obj, False), obj)
                for pod in pods:
                    settled.wait(self.client, NAMESPACE, pod, mark["metadata"]["name"])
                asked = {
                    protocol: {caller: pool.submit(self._admitted, place, server) for caller, place in CALLERS.items()}
                    for protocol, server in SERVERS.items()
                }
                seen = {
                    protocol: {caller: answer.result() for caller, answer in answers.items()}
                    for protocol, answers in asked.items()
                }
                yield Measured(policy, **seen)
                for obj in (policy, mark):
                    self.api.request("DELETE", self._path(obj, True))
                told(count + 1)

    def _path(self, obj: Manifest, named: bool) -> str:
        path = self.api.path(obj)
        return path if named else path.rpartition("/")[0]

    def _admitted(self, place: tuple[str, str], server: str) -> bool:
        deployment, container = place
        url = f"http://{server}.{NAMESPACE}.svc.cluster.local:{PORT}/api/v1/query?query=up"
        curl: list[Any] = ["curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", url]
        done = kubectl(self.places, "exec", f"deployment/{deployment}", "--container", container, "--", *curl)
        return done.stdout == "200"
