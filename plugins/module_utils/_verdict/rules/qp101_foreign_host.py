# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy keeps the incoming Host, and its sidecar lets the request out in plaintext."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import PASSTHROUGH
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import BROKEN, Finding, Rule

RULE = Rule(
    code="QP101",
    title="Host that names no Service on the upstream's port",
    pattern=(
        "A proxy in the mesh forwards the Host of the request that it received. The upstream's Service port is "
        "declared as HTTP (`appProtocol: http`, or a port name like `http-web`), and no Service with that port "
        "answers to this Host."
    ),
    why=(
        "All explicit HTTP services on one port share one listener and one route table, which is searched by Host "
        "alone. A Host that it does not know falls to the catch-all virtual host `allow_any`, whose "
        "`PassthroughCluster` has no TLS settings: the request leaves in plaintext. A STRICT server has no filter "
        "chain for plaintext and resets the connection. A PERMISSIVE server accepts it, unencrypted and without a "
        "client identity, which hides the fault until the mesh goes STRICT."
    ),
    evidence=(
        "Client sidecar: `503 UC … PassthroughCluster … allow_any` with the foreign Host as authority. Server "
        "sidecar, same moment and address: `0 NR filter_chain_not_found`. User: `upstream connect error … "
        "connection termination`. `istioctl analyze` is silent."
    ),
    fix=(
        "Let the proxy send the upstream's own name as Host (`host_rewrite`); or name the Host in a VirtualService "
        "for that port and that client (`route_alias`); or leave the port's protocol undeclared (`service_protocol: "
        "auto`); or declare it TCP. A DestinationRule cures nothing here: PassthroughCluster takes none."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/httproute.go:162-239, 815-852; "
        "cluster_builder.go:789-814; istio/istio#55472. Measured: docs/truth-table.md rows 0, 0b, 10."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if hop.route.kind != PASSTHROUGH or hop.route.name != "allow_any":
            continue
        client, server = hop.step.client.name, hop.step.server.name
        sender = f"{client} sends Host {hop.host!r} to {hop.step.service.name}:{hop.step.port.number}"
        if status == BROKEN:
            summary = f"{sender}; its sidecar finds no such service there and sends plaintext, which {server} refuses."
        else:
            summary = (
                f"{sender}; its sidecar finds no such service there and sends plaintext, which {server} still accepts."
            )
        declared = (
            f"port {hop.step.port.number} of Service {hop.step.service.namespace}/{hop.step.service.name} is HTTP: "
            f"{hop.protocol.why}"
        )
        yield finding(RULE, case, index, status, summary, (declared, hop.route.why))
