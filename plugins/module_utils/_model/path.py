# SPDX-License-Identifier: GPL-3.0-or-later
"""The query path: hops from Grafana to the server that answers, and what is predicted for each."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.destination_rule import TlsSetting
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.hostnames import Endpoint
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import (
    Pod,
    Service,
    ServicePort,
    Workload,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import Mode
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.protocol import Protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


class DataSource(NamedTuple):
    """source: where it was found, e.g. `ConfigMap/monitoring/grafana-datasources`.

    query_parameters: as a URL's query. headers: names of the custom headers that Grafana adds; their values are secret.
    """

    uid: str
    name: str
    url: str
    query_parameters: str
    source: str
    headers: tuple[str, ...] = ()

    @property
    def handle(self) -> str:
        """By what a user chooses it: its uid, or its name where a provisioning file gives none."""
        return self.uid or self.name


class Step(NamedTuple):
    """One hop as wired, before any Host or mesh configuration is looked at.

    services: those of the server's namespace. relay: what the server does with the query. pod: the one whose
    own address the URL has; None where it names a Service.
    """

    client: Workload
    client_relay: Relay | None
    url: str
    endpoint: Endpoint
    service: Service
    port: ServicePort
    server: Workload
    services: ServiceIndex
    relay: Relay
    pod: Pod | None = None

    @property
    def pods_dialled(self) -> tuple[Pod, ...]:
        """The pods between which a connection chooses by itself; none where a Service's address chooses."""
        if self.pod is not None:
            return (self.pod,)
        return self.server.pods if self.service.headless else ()


# Kinds of route. Names in capitals or with a colon are Envoy's own.
SERVICE = "service"  # the intended Service's cluster
OTHER_SERVICE = "other_service"  # the Host names another Service with the same port
PASSTHROUGH = "passthrough"  # allow_any -> PassthroughCluster, plaintext
BLOCKED = "blocked"  # REGISTRY_ONLY: block_all, 502
DYNAMIC_DNS = "dynamic_dns"  # ALLOW_ANY_DYNAMIC_DNS: goes where the Host resolves
NO_CLUSTER = "no_cluster"  # routed to a cluster that does not exist: 503 NC
NO_SIDECAR = "no_sidecar"  # the client has no sidecar: its own connection, plaintext
AMBIENT = "ambient"  # ztunnel carries the connection by its address; the Host plays no part
UNKNOWN = "unknown"


class Route(NamedTuple):
    """Where a client's sidecar sends a request.

    kind          one of the constants above
    listener      Envoy's listener, e.g. `0.0.0.0_9090` (shared, routed by Host) or `10.96.0.7_9090` (one per Service)
    cluster       Envoy's cluster, as access logs show it
    name          Envoy's route name, as access logs show it; "" where the log has none
    host_after    the Host with which the request arrives at the server
    why           for people
    default_chain the listener's default filter chain takes the connection, because its HTTP chain does not know the
                  client's version of HTTP
    """

    kind: str
    listener: str
    cluster: str
    name: str
    host_after: str
    why: str
    subset: str = ""
    source: str = ""
    default_chain: bool = False

    @property
    def unlisted(self) -> bool:
        """Whether the request leaves for anywhere because nothing in the client's sidecar stands for the address."""
        return self.kind == PASSTHROUGH and self.name != "allow_any" and not self.default_chain


class Transport(NamedTuple):
    """How a client's sidecar speaks to the server's pods: MTLS, PLAINTEXT, TLS (not Istio's), MIXED between pods, or
    UNKNOWN.

    cause: "" where nothing stands in the way of mTLS, else passthrough, no_sidecar, destination_rule, auto_mtls,
    server_without_sidecar, peer_authentication.
    """

    mode: str
    why: str
    cause: str = ""
    rule: Object | None = None
    setting: TlsSetting = TlsSetting("", "", "")


MTLS, PLAINTEXT, TLS, MIXED = "mTLS", "plaintext", "TLS", "mixed"


class Hop(NamedTuple):
    """A step with what is predicted for it. host: on the wire when the request leaves the client's program.

    modes: what each server pod's sidecar accepts, by pod name; empty without sidecars. unknown: what could not be told.
    """

    step: Step
    host: str
    protocol: Protocol
    route: Route
    transport: Transport
    modes: tuple[tuple[str, Mode], ...]
    policy: str
    unknown: tuple[str, ...] = ()

    @property
    def mode(self) -> Mode | None:
        """The mode of the strictest server pod; None where no server pod has a sidecar."""
        order = {"STRICT": 0, "PERMISSIVE": 1, "DISABLE": 2}
        return min((mode for _pod, mode in self.modes), key=lambda mode: order[mode.mode], default=None)

    def dialled(self, address: str) -> bool:
        """Whether `ip:port` is what the client's program dials on this hop."""
        ip, _colon, port = address.rpartition(":")
        pods = self.step.pods_dialled
        if pods:
            # Nothing translates the port of a name that resolves to pods.
            return port == str(self.step.port.number) and any(ip == pod.ip for pod in pods)
        return port == str(self.step.port.number) and ip in self.step.service.cluster_ips


class Path(NamedTuple):
    """A data source's path. mesh: the configuration that it was judged by."""

    datasource: DataSource
    grafana: Workload
    hops: tuple[Hop, ...]
    mesh: Mesh
    unknown: tuple[str, ...]
