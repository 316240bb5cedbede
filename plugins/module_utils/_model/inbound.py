# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Service decides how a server's sidecar handles a port.

Source: istio/istio release-1.31 pilot/pkg/networking/core/listener_inbound.go:418-425,
pilot/pkg/model/context.go:620-633: inbound is keyed by the pod's port; of several Services that lead there the oldest
decides, ties by name.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects, protocol
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service, ServicePort
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Step


def kind(port: ServicePort) -> str:
    """How a server's sidecar handles a port: HTTP, TCP or AUTO. A name like `udp-x` on a TCP port makes it TCP."""
    declared = protocol.of_port(port).kind
    return protocol.TCP if declared == protocol.UDP and port.transport != "UDP" else declared


def deciding(step: Step) -> tuple[Service, ServicePort]:
    """The Service, and its port, whose declaration the server's sidecar follows on this step's container port."""
    pod = step.server.pods[0]
    wanted = objects.target_port(step.port, pod)
    leading = [
        (service, port)
        for service in step.services.selecting(pod)
        for port in service.ports
        if objects.target_port(port, pod) == wanted
    ]
    return min(leading, key=lambda pair: (pair[0].created, pair[0].name), default=(step.service, step.port))
