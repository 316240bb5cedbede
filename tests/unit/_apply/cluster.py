# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a plan changes, a Deployment controller as far as rollouts need one, and a clock without waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change, Field
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer

Object = dict[str, Any]
NS = "monitoring"
OLD_ARGS = ["--upstream=http://prometheus:9090"]
NEW_ARGS = [*OLD_ARGS, "--rewrite-host-header-to=prometheus"]
CRASHING = {
    "name": "proxy",
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    "lastState": {"terminated": {"exitCode": 2}},
}


def service_change(server: ApiServer) -> Change:
    """appProtocol of the Service that is added here if it is missing."""
    ports = [{"name": "http-web", "port": 9090}]
    found = server.objects.get(("services", NS, "prometheus")) or server.add(
        "Service", NS, "prometheus", spec={"ports": ports}
    )
    fields = [Field("/spec/ports/0/appProtocol", None, "tcp", "spec.ports[9090].appProtocol")]
    return change.patch("Service", found, fields, [], "chosen by address", change.PUSH)


def deployment_change(server: ApiServer) -> Change:
    """Arguments of a Deployment with one ready pod that is added here."""
    labels = {"app": "proxy"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "proxy", "args": OLD_ARGS}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    deployment = server.add("Deployment", NS, "proxy", spec=spec)
    deployment["metadata"]["generation"] = 1
    deployment["status"] = rolled_out(1)
    server.add("Pod", NS, "proxy-old", labels=labels)
    fields = [Field("/spec/template/spec/containers/0/args", OLD_ARGS, NEW_ARGS, "args")]
    return change.patch("Deployment", deployment, fields, [], "sends the right Host", change.ROLLOUT)


def virtual_service_change() -> Change:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"namespace": NS, "name": "alias"},
        "spec": {"hosts": ["prometheus"], "http": [{"route": [{"destination": {"host": "prometheus"}}]}]},
    }
    return change.create(body, "accepts the foreign Host")


def rolled_out(generation: int, **fields: int) -> Object:
    status = {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    return {**status, **fields}


class Controller:
    """Sees each write of a Deployment; its pods become ready after some polls, or crash."""

    def __init__(self, server: ApiServer, crash_on: list[str] | None = None) -> None:
        """crash_on: the arguments on which the program ends with an error."""
        self._server, self._crash_on = server, crash_on
        self.steps: list[Callable[[], None]] = []
        server.on_write = self.saw

    def saw(self, verb: str, written: Object) -> None:
        if verb != "patch" or written["kind"] != "Deployment":
            return
        generation = written["metadata"]["generation"]
        args = written["spec"]["template"]["spec"]["containers"][0]["args"]
        labels = written["spec"]["template"]["metadata"]["labels"]
        written["status"] = rolled_out(generation - 1)
        crashes = args == self._crash_on

        def begin() -> None:
            pod = self._server.add("Pod", NS, f"proxy-{generation}", labels=labels)
            pod["status"] = {"containerStatuses": [CRASHING] if crashes else []}
            written["status"] = rolled_out(generation, replicas=2, availableReplicas=1)

        def end() -> None:
            if not crashes:
                written["status"] = rolled_out(generation)

        self.steps = [begin, end]

    def clock(self) -> Clock:
        """A clock on which waiting is what lets the controller work."""
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds
            if self.steps:
                self.steps.pop(0)()

        return Clock(lambda: now[0], sleep)
