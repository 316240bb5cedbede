# SPDX-License-Identifier: GPL-3.0-or-later
"""A VirtualService tells the proxy's sidecar, and no other, where requests with the foreign Host belong.

It must list the upstream's own host too (else istiod ignores it on this port), match the port (else it hijacks the
proxy's own port: a tenant leak that answers 200), and match the source (else other clients are let through as well).
Measured: docs/truth-table.md rows 9 (works), 9b2, 9c, 9d (what goes wrong without each).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    hostnames,
    objects,
    virtual_service,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    Effect,
    Ill,
    Proposal,
)


def propose(ill: Ill) -> Proposal:
    troubled = ill.hops(HOST_CODES)
    if not troubled:
        return Proposal("No hop fails because of its Host.")
    index, hop = troubled[0]
    if index == 0:
        return Proposal(f"The Host comes from the data source's own URL; correct the URL that {hop.step.client} uses.")
    client_selector = ill.path.hops[index - 1].step.service.selector
    host = hostnames.without_port(hop.host)
    if "." not in host:
        return Proposal(
            f"Host {host!r} has no dot, and a VirtualService takes such a name for "
            f"{host}.{hop.step.client.namespace}: it cannot be "
            "routed as it is. Use a longer name in the data source's URL, or another strategy."
        )
    own = hostnames.fqdn(hop.step.service, ill.path.mesh.domain)
    taken = _already_routed(ill, {own, host})
    if taken:
        return Proposal(
            f"{taken} already routes one of these hosts, and Istio takes one VirtualService per host; add the alias "
            "there."
        )
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": _name(hop), "namespace": hop.step.client.namespace},
        "spec": {
            "exportTo": ["."],
            "hosts": [own, *_spellings(host, hop, ill.path.mesh.domain)],
            "http": [
                {
                    "name": "host-alias",
                    "match": [{"port": hop.step.port.number, "sourceLabels": dict(client_selector)}],
                    "route": [{"destination": {"host": own, "port": {"number": hop.step.port.number}}}],
                }
            ],
        },
    }
    why = (
        f"{hop.step.client.name}'s sidecar routes Host {host} on port {hop.step.port.number} to {hop.step.service.name}"
    )
    labels = objects.selector_text(client_selector)
    return Proposal(
        changes=(change.create(body, why),),
        effects=(
            Effect(
                "routes_host",
                f"VirtualService/{hop.step.client.namespace}/{_name(hop)}",
                f"Every pod in {hop.step.client.namespace} with {labels} has these hosts on port "
                f"{hop.step.port.number} routed to "
                f"{hop.step.service.name}; no other client is touched.",
            ),
        ),
    )


def _name(hop: Hop) -> str:
    return f"{hop.step.service.name}-{hop.step.port.number}-for-{hop.step.client.name}"[:63].rstrip("-.")


def _spellings(host: str, hop: Hop, domain: str) -> list[str]:
    """The Host, and its other spellings with a dot.

    A host that only a VirtualService names has no aliases of its own.
    """
    named = hostnames.service_name(host, hop.step.client.namespace, domain)
    if named is None:
        return [host]
    namespace, name = named
    full = [f"{name}.{namespace}.svc.{domain}", f"{name}.{namespace}.svc", f"{name}.{namespace}"]
    return list(dict.fromkeys([host, *full]))


def _already_routed(ill: Ill, wanted: set[str]) -> str:
    for obj in ill.path.mesh.of("VirtualService"):
        gateways = objects.sequence(objects.spec(obj).get("gateways")) or [virtual_service.MESH_GATEWAY]
        listed = virtual_service.hosts(obj, ill.path.mesh.domain)
        if virtual_service.MESH_GATEWAY in gateways and any(
            hostnames.matches(host, entry) for host in wanted for entry in listed
        ):
            return objects.reference("VirtualService", obj)
    return ""
