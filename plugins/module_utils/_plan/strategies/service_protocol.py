# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream's Service port is declared so that its address, not the Host, chooses the cluster.

`tcp` takes HTTP away from every client of the port, and with it what AuthorizationPolicies can see. `auto` is an
appProtocol that Istio does not know, so that Envoy sniffs: HTTP stays for clients that announce it. The annotation that
circulates for this is read by nothing. Measured: docs/truth-table.md rows 1 (the annotation), 2 and 4 (appProtocol), 19
(policies).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    objects,
    protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, json_patch, restart
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    HTTP_1_0_CODE,
    Ill,
    Proposal,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.rules.qp401_unread_annotation import (
    ANNOTATION,
)

# Istio knows no such protocol, so the port is sniffed; Kubernetes wants a prefixed name for what is not an IANA service
# name.
AUTO_VALUE = "istio-remediation.meshops/auto"
TCP_VALUE = "tcp"


def propose_auto(ill: Ill) -> Proposal:
    """Raises NotReadError."""
    return _propose(ill, AUTO_VALUE)


def propose_tcp(ill: Ill) -> Proposal:
    """Raises NotReadError."""
    return _propose(ill, TCP_VALUE)


def _propose(ill: Ill, value: str) -> Proposal:
    troubled = ill.hops((*HOST_CODES, HTTP_1_0_CODE))
    if not troubled:
        return Proposal("No hop fails because of its Host.")
    _index, hop = troubled[0]
    if hop.protocol.kind != protocol.HTTP:
        return Proposal(
            f"Port {hop.step.port.number} of Service {hop.step.service.name} is {hop.protocol.kind} already "
            f"({hop.protocol.why})."
        )
    declared = _change(ill, hop, value)
    reason = f"{hop.step.service.name}-{hop.step.port.number}={value}"
    return restart.with_restart(ill, hop.step.client, (declared,), reason)


def _change(ill: Ill, hop: Hop, value: str) -> change.Change:
    obj = hop.step.service.object
    position = hop.step.service.ports.index(hop.step.port)
    where = ("spec", "ports", position)
    number = hop.step.port.number
    fields = [
        change.Field(
            json_patch.pointer(*where, "appProtocol"),
            hop.step.port.app_protocol,
            value,
            f"spec.ports[{number}].appProtocol",
        )
    ]
    if ill.options.annotate and value == TCP_VALUE:
        fields += _annotation(obj)
    anchor = json_patch.test(json_patch.pointer(*where, "port"), number)
    why = f"port {number} of Service {hop.step.service.name} is chosen by address, whatever the Host"
    return change.patch("Service", obj, fields, [anchor], why, change.PUSH)


def _annotation(obj: Object) -> list[change.Field]:
    """The annotation that Istio does not read, for tools that look for it."""
    annotations = objects.metadata(obj).get("annotations")
    label = f"metadata.annotations[{ANNOTATION}]"
    if not annotations:
        return [
            change.Field(json_patch.pointer("metadata", "annotations"), annotations, {ANNOTATION: TCP_VALUE}, label)
        ]
    path = json_patch.pointer("metadata", "annotations", ANNOTATION)
    return [change.Field(path, annotations.get(ANNOTATION), TCP_VALUE, label)]
