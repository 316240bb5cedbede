# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listener of a client's sidecar takes a connection, and what of it an HTTP request meets.

Source: istio/istio release-1.31 pilot/pkg/networking/core/listener.go:380-545 (one listener per ClusterIP or pod and
port for TCP and sniffed ports, one for all explicit HTTP ports), 815-1040 (what several Services on one address become;
a port that a Sidecar declares is locked against the catch-all), pilot/pkg/model/sidecar.go:590-620, 876-931 (a declared
port imports only Services that have it). Measured: `make differential`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    hostnames,
    protocol,
    sidecar_scope,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import service_exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Service
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.protocol import Protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.sidecar_scope import (
    EgressListener,
    Scope,
)

CATCH_ALL = "virtualOutbound"
# Envoy's address for "any"; the pod's own address stands in listener names as this word, for there is one per pod.
ANY, POD = "0.0.0.0", "<pod>"


class Taken(NamedTuple):
    """What an HTTP request meets.

    listener  Envoy's name, with `<pod>` for a pod's address
    owner     the Service whose listener it is; None for the one that all explicit HTTP ports share
    declared  how the owner's port is handled, or why the shared listener is there
    egress    where the owner's listener comes from in the Sidecar resource
    problem   why it cannot be told; "" where it can
    """

    listener: str
    owner: Service | None
    declared: Protocol
    egress: EgressListener
    problem: str = ""


class View(NamedTuple):
    """What a client's sidecar sees on one port. services: those that are known."""

    scope: Scope
    client_namespace: str
    domain: str
    services: ServiceIndex
    port: int

    def listeners(self) -> list[EgressListener]:
        """The parts of the Sidecar resource that can have a listener on the port, in their order."""
        return [entry for entry in self.scope.listeners if entry.port in (0, self.port)]

    def sees(self, egress: EgressListener, service: Service) -> bool:
        """Whether a part of the Sidecar resource imports a Service."""
        if not service_exported_to(service, self.client_namespace):
            return False
        if egress is sidecar_scope.EVERYTHING:
            return True
        return self.scope.imports(egress, hostnames.fqdn(service, self.domain), service.namespace)

    def seen(self, egress: EgressListener) -> Iterator[Service]:
        """The Services with this port that a part of the Sidecar resource imports, without aliases (ExternalName)."""
        on_port = self.services.on_port(self.port)
        return (service for service in on_port if not service.external_name and self.sees(egress, service))

    def aliases(self, egress: EgressListener, full: str, namespace: str) -> list[Service]:
        """The ExternalName Services that stand for a Service, as far as its import covers their names too."""
        found = self.services.aliases(full, self.domain)
        return [alias for alias in found if self.scope.imports(egress, hostnames.fqdn(alias, self.domain), namespace)]

    def declared(self, egress: EgressListener, service: Service) -> Protocol:
        """How a Service's port is handled there: as the Sidecar resource says, else as the Service does."""
        port = service.port(self.port)
        if port is None:
            return Protocol("", "")
        if not egress.port:
            return protocol.of_port(port)
        named = protocol.of_port(port._replace(name=egress.protocol.lower(), app_protocol=None, transport="TCP"))
        return Protocol(named.kind, f"{self.scope.source} declares {egress.protocol} on port {egress.port}")


def taken(view: View, service: Service, pod: Pod | None) -> Taken | None:
    """What takes a connection to a Service, or to a pod's own address; None: the catch-all listener."""
    label = POD if pod is not None else next(iter(service.cluster_ips), "")
    found = [
        Taken(f"{label}_{view.port}", owner, view.declared(egress, owner), egress)
        for egress in view.listeners()
        for owner in _oldest_first(_bound(view, egress, service, pod))
    ]
    if found:
        # What the Sidecar resource declares for the port is locked. Else the first sniffed one brings the HTTP chain,
        # and without any the first of all has the TCP chain: AutoOverTCP, TCPOverAuto, TCPOverTCP.
        first = [entry for entry in found if entry.egress is found[0].egress]
        return next((entry for entry in first if entry.declared.kind == protocol.AUTO), first[0])
    return _shared(view)


def _bound(view: View, egress: EgressListener, dialled: Service, pod: Pod | None) -> Iterator[Service]:
    """The Services that have a listener of their own at the address that is dialled."""
    for service in _candidates(view, dialled, pod):
        own_address = pod is None or not egress.port
        kind = view.declared(egress, service).kind
        if own_address and kind in (protocol.TCP, protocol.AUTO) and view.sees(egress, service):
            yield service


def _candidates(view: View, dialled: Service, pod: Pod | None) -> Iterable[Service]:
    if pod is None:
        return (dialled,)
    return (entry for entry in view.services.selecting(pod) if entry.headless and entry.port(view.port) is not None)


def _shared(view: View) -> Taken | None:
    """The listener for any address, if something asks for it."""
    name = f"{ANY}_{view.port}"
    for egress in view.listeners():
        for service in view.seen(egress):
            declared = view.declared(egress, service)
            if declared.kind == protocol.HTTP:
                return Taken(name, None, declared, egress)
            if egress.port and declared.kind == protocol.TCP and service.headless:
                why = f"{view.scope.source} declares a TCP port for headless Services, which take every address"
                return Taken(name, None, declared, egress, why)
    return None


def _oldest_first(services: Iterable[Service]) -> list[Service]:
    # pilot/pkg/model/push_context.go:1761 (SortServicesByCreationTime)
    return sorted(services, key=lambda entry: (entry.created, entry.name, entry.namespace))


def route_table(view: View) -> EgressListener | None:
    """The part of the Sidecar resource that fills the port's route tables: the one declared for the port, else the
    catch-all.
    """
    return next(iter(view.listeners()), None)
