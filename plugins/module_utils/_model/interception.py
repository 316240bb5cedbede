# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traffic of a pod its sidecar sees at all.

Source: https://istio.io/latest/docs/reference/config/annotations/ (traffic.sidecar.istio.io/*); istio/istio
release-1.31 manifests/charts/istio-control/istio-discovery/files/injection-template.yaml (they become arguments of
istio-init's iptables). Measured: docs/truth-table.md.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod

PREFIX = "traffic.sidecar.istio.io/"
EXCLUDE_INBOUND, INCLUDE_INBOUND = f"{PREFIX}excludeInboundPorts", f"{PREFIX}includeInboundPorts"
EXCLUDE_OUTBOUND = f"{PREFIX}excludeOutboundPorts"


def skips_inbound(pod: Pod, port: int) -> str:
    """The annotation that lets connections to a container port pass by the sidecar, as `name: value`; "" where none
    does.
    """
    annotations = objects.mapping(objects.metadata(pod.object).get("annotations"))
    included = annotations.get(INCLUDE_INBOUND)
    if included is not None and included != "*" and str(port) not in _words(included):
        return f"{INCLUDE_INBOUND}: {included!r}"
    return _listed(annotations, EXCLUDE_INBOUND, port)


def skips_outbound(pod: Pod, port: int) -> str:
    """The annotation that lets connections to this port leave past the sidecar, as `name: value`; "" where none
    does.
    """
    return _listed(objects.mapping(objects.metadata(pod.object).get("annotations")), EXCLUDE_OUTBOUND, port)


def _listed(annotations: dict[str, object], name: str, port: int) -> str:
    value = annotations.get(name)
    return f"{name}: {value!r}" if str(port) in _words(value) else ""


def _words(value: object) -> list[str]:
    return [word.strip() for word in objects.text(value).split(",")]
