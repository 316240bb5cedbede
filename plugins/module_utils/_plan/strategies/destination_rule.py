# SPDX-License-Identifier: GPL-3.0-or-later
"""A DestinationRule that lets the client's sidecar speak Istio's mTLS to the upstream.

It cures a client that is told not to (QP201, QP202, QP203). It cannot cure a foreign Host: PassthroughCluster takes no
rule. Measured: docs/truth-table.md rows 10 (no effect on a foreign Host), 11c, 12-ok.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    destination_rule,
    hostnames,
    objects,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    HTTP_1_0_CODE,
    Effect,
    Ill,
    Proposal,
)

NAME = "destination_rule"
CODES = ("QP201", "QP202", "QP203")
ISTIO_MUTUAL = {"mode": "ISTIO_MUTUAL"}


def propose(ill: Ill) -> Proposal:
    troubled = ill.hops(CODES)
    if not troubled:
        if ill.hops((*HOST_CODES, HTTP_1_0_CODE)):
            return Proposal(
                "A DestinationRule cannot cure a foreign Host: the request leaves through PassthroughCluster, which "
                "belongs to no "
                "Service and takes no DestinationRule (measured)."
            )
        return Proposal("No client on this path is told not to speak mTLS.")
    changes, effects = [], []
    for _index, hop in troubled:
        bare = [pod.name for pod in hop.step.server.pods if pod.mesh == "none"]
        if bare:
            return Proposal(f"Pod {bare[0]} behind {hop.step.service.name} has no sidecar, so mTLS to it would fail.")
        rule = hop.transport.rule
        exact = rule is not None and not destination_rule.rule_host(rule, ill.path.mesh.domain).startswith("*")
        if rule is not None and exact:
            changes.append(_correct(hop, rule))
            text = f"Every client that uses {changes[-1].target} speaks Istio's mTLS to {hop.step.service.name}."
        else:
            changes.append(_add(ill, hop, rule))
            text = (
                f"A rule for {hop.step.service.name} alone is added; it takes precedence over wider ones of its "
                "namespace."
            )
        effects.append(Effect("speaks_mtls", str(changes[-1].target), text))
    return Proposal(changes=tuple(changes), effects=tuple(effects))


def _correct(hop: Hop, rule: Object) -> change.Change:
    """Sets the very field that disables mTLS, or adds it where the rule says nothing."""
    policy = objects.spec(rule).get("trafficPolicy")
    why = (
        f"the DestinationRule that {hop.step.client.name}'s sidecar uses for {hop.step.service.name} asks for "
        "Istio's mTLS"
    )
    at = hop.transport.setting.at or "spec.trafficPolicy.tls"
    if not policy:
        field = change.Field("/spec/trafficPolicy", policy, {"tls": ISTIO_MUTUAL}, "spec.trafficPolicy")
        return change.patch("DestinationRule", rule, [field], [], why, change.PUSH)
    path = _pointer(at)
    old = _value(rule, path)
    return change.patch("DestinationRule", rule, [change.Field(path, old, ISTIO_MUTUAL, at)], [], why, change.PUSH)


def _pointer(at: str) -> str:
    """`spec.trafficPolicy.portLevelSettings[0].tls` as a JSON Pointer."""
    return json_patch.pointer(*at.replace("[", ".").replace("]", "").split("."))


def _value(rule: Object, path: str) -> object:
    current: object = rule
    for key in path.split("/")[1:]:
        current = current[int(key)] if isinstance(current, list) else objects.mapping(current).get(key)
    return current


def _add(ill: Ill, hop: Hop, wider: Object | None) -> change.Change:
    """A rule for this host alone.

    It stands where the wider rule does (the first namespace with any match wins), else beside the Service.
    """
    host = hostnames.fqdn(hop.step.service, ill.path.mesh.domain)
    namespace = objects.namespace(wider) if wider else hop.step.service.namespace
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": f"{hop.step.service.name}-istio-mutual", "namespace": namespace},
        "spec": {"host": host, "trafficPolicy": {"tls": dict(ISTIO_MUTUAL)}},
    }
    return change.create(body, f"clients speak Istio's mTLS to {hop.step.service.name}")
