# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Sidecar resource lets one workload see.

Source: istio/istio release-1.31 pilot/pkg/model/sidecar.go: selection 1041-1100 (getSidecarScope), egress listeners
590-619, outbound policy 358-365; the API: https://istio.io/latest/docs/reference/config/networking/sidecar/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, mesh, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

# `~namespace/host` takes a host out again, since Istio 1.31: sidecar.go:513-528.
EXCLUDED = "~"


class EgressListener(NamedTuple):
    """port: 0 is the catch-all. hosts: entries `namespace/dnsName` as written.

    plain: neither bind nor captureMode is set.
    """

    port: int
    protocol: str
    hosts: tuple[str, ...]
    plain: bool


class Scope(NamedTuple):
    """source: `Sidecar/namespace/name`, "" where no Sidecar applies and everything is visible."""

    source: str
    namespace: str
    policy: str
    listeners: tuple[EgressListener, ...]

    def listener(self, port: int) -> EgressListener | None:
        """The listener that serves a destination port: the one declared for it, else the catch-all."""
        exact = next((entry for entry in self.listeners if entry.port == port), None)
        return exact or next((entry for entry in self.listeners if entry.port == 0), None)

    def imports(self, listener: EgressListener, host: str, namespace: str) -> bool:
        """Whether a listener lists a host of a Service that lives in a namespace."""
        return self._lists(listener, host, namespace, hostnames.matches)

    def overlaps(self, listener: EgressListener, host: str, namespace: str) -> bool:
        """Whether a listener lists a host of a VirtualService, which may be a wildcard itself."""
        return self._lists(listener, host, namespace, hostnames.overlaps)

    def _lists(self, listener: EgressListener, host: str, namespace: str, fits: Callable[[str, str], bool]) -> bool:
        included = False
        for entry in listener.hosts:
            wanted, _slash, pattern = entry.partition("/")
            home = wanted.removeprefix(EXCLUDED)
            home = self.namespace if home == "." else home or "*"
            if home in ("*", namespace) and fits(host, pattern.lower()):
                if wanted.startswith(EXCLUDED):
                    return False
                included = True
        return included


EVERYTHING = EgressListener(0, "", ("*/*",), True)


def of_workload(config: mesh.Mesh, workload: Workload) -> Scope:
    """The scope of a workload: a Sidecar that selects it, else the one of its namespace, else the root namespace's."""
    chosen = _choose(config, workload.namespace, workload.labels)
    if chosen is None:
        return Scope("", workload.namespace, config.outbound_policy, (EVERYTHING,))
    body = objects.spec(chosen)
    listeners = tuple(_listener(objects.mapping(entry)) for entry in objects.sequence(body.get("egress")))
    return Scope(
        source=objects.reference("Sidecar", chosen),
        namespace=workload.namespace,
        policy=mesh.outbound_policy(body) or config.outbound_policy,
        listeners=listeners or (EVERYTHING,),
    )


def _choose(config: mesh.Mesh, namespace: str, labels: Mapping[str, str]) -> Object | None:
    oldest_first = sorted(config.of("Sidecar"), key=lambda obj: (objects.created(obj), objects.name(obj)))
    here = [obj for obj in oldest_first if objects.namespace(obj) == namespace]
    root = [obj for obj in oldest_first if objects.namespace(obj) == config.root_namespace]
    selecting = [obj for obj in here if _selector(obj) and objects.selects(_selector(obj), labels)]
    candidates = [
        *selecting,
        *(obj for obj in here if not _selector(obj)),
        *(obj for obj in root if not _selector(obj)),
    ]
    return candidates[0] if candidates else None


def _selector(obj: Object) -> dict[str, str]:
    return objects.mapping(objects.mapping(objects.spec(obj).get("workloadSelector")).get("labels"))


def _listener(entry: dict[str, object]) -> EgressListener:
    port = objects.mapping(entry.get("port"))
    capture = objects.text(entry.get("captureMode")) or "DEFAULT"
    return EgressListener(
        port=int(port.get("number", 0)),
        protocol=objects.text(port.get("protocol")).upper(),
        hosts=tuple(map(objects.text, objects.sequence(entry.get("hosts")))),
        plain=not entry.get("bind") and capture in ("DEFAULT", "IPTABLES"),
    )
