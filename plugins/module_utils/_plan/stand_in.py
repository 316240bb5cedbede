# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside production for a copy alone, in the place of an object that others use too.

A DestinationRule: the fixed one under a `workloadSelector` that finds nothing but the copy. Of several rules for a host
a sidecar takes the one whose selector finds it, and others never see that one: istio/istio release-1.31
pilot/pkg/model/sidecar.go:713-738. Which rules for a host are considered at all is decided before that, though, by
namespace and by how specific their host is: push_context.go:1259-1325. So a rule beside one in another namespace, or
beside a wider one, would take that away from every client of the copy's namespace; then there is no stand-in.

A Service: the fixed one under another name and address, with the same selector. It is the newest that leads to the
server's pods, so their own sidecars go on handling the port as the oldest says (listener_inbound.go:418-425,
pilot/pkg/model/context.go:620-633): what the fix does to the server's side is not shown. The copy dials it because its
pod resolves the name in the proxy's URL to it (hostAliases), while the program, its arguments and the Host stay as they
are: https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/.
Measured by what the Envoys run on, before and meanwhile (tests/lab/faults/sidecars.py): the sidecars of its namespace
get a cluster and a listener at its own address, for a port without a protocol also a route table of its own and a
virtual host with its own names in that of the port; the server's inbound cluster names it behind the others in its
metadata. No listener that was there changes.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    destination_rule,
    inbound,
    objects,
    route,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import EXPORT_ANNOTATION, Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Step
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import CREATE, Change

# What of a Service decides how it leads to pods. Its name, addresses and node ports are its own.
_OF_A_SERVICE = (
    *("selector", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "trafficDistribution"),
    *("publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig"),
)
_OF_A_PORT = ("name", "port", "targetPort", "protocol", "appProtocol")
# For a prediction: an address that no Service has (RFC 5737).
_SOME_ADDRESS = "192.0.2.1"


class NotRehearsableError(Exception):
    """The fix cannot be tried beside production; the message says why, as a sentence."""


def rule(config: Mesh, hop: Hop, change: Change, labels: dict[str, str], namespace: str) -> dict[str, Any]:
    """The spec of a DestinationRule that is the changed one for the pods with these labels in a namespace, and none for
    anybody else. Raises NotRehearsableError, and PatchError where the rule is not what the plan was made for.
    """
    fixed = _fixed_rule(config, change)
    spec = {key: value for key, value in objects.spec(fixed).items() if key != "exportTo"}
    spec["host"] = destination_rule.rule_host(fixed, config.domain)
    spec["workloadSelector"] = {"matchLabels": dict(labels)}
    metadata = {"namespace": namespace, "name": objects.name(fixed)}
    _refuse_what_others_meet(config, hop, {"metadata": metadata, "spec": spec}, change)
    return spec


def _fixed_rule(config: Mesh, change: Change) -> Object:
    if change.action == CREATE:
        return change.body
    rules = config.of("DestinationRule")
    found = next((obj for obj in rules if objects.metadata(obj).get("uid") == change.target.uid), None)
    if found is None:
        raise NotRehearsableError(f"{change.target} is not among the rules that were read.")
    return json_patch.apply(found, list(change.patch))


def _refuse_what_others_meet(config: Mesh, hop: Hop, beside: Object, change: Change) -> None:
    after = config._replace(lists={**config.lists, "DestinationRule": (*config.of("DestinationRule"), beside)})
    client, service = hop.step.client, hop.step.service
    copied = _labelled(client, objects.mapping(objects.spec(beside)["workloadSelector"]["matchLabels"]))
    if beside not in destination_rule.lookup(after, copied, service)[:1]:
        raise NotRehearsableError(
            f"{change.target} is not what {client}'s sidecar uses for {service.name}, so a copy would not show it."
        )
    for other in (
        client,
        *(_labelled(client, labels) for labels in _selectors(config, client.namespace)),
        _labelled(client, {}),
    ):
        if destination_rule.lookup(after, other, service) != destination_rule.lookup(config, other, service):
            raise NotRehearsableError(
                f"A rule for {service.name} in namespace {client.namespace}, even for a copy alone, would take from "
                "the other clients there what they use now: Istio looks for the most specific host in the client's own "
                "namespace first."
            )


def _selectors(config: Mesh, namespace: str) -> list[dict[str, str]]:
    """The labels by which rules of a namespace choose their clients."""
    here = (objects.spec(obj) for obj in config.of("DestinationRule") if objects.namespace(obj) == namespace)
    return [objects.mapping(objects.mapping(spec.get("workloadSelector")).get("matchLabels")) for spec in here]


def _labelled(client: Workload, labels: dict[str, str]) -> Workload:
    return client._replace(pods=tuple(pod._replace(labels=labels) for pod in client.pods))


def service(config: Mesh, hop: Hop, change: Change, own: Object, labels: dict[str, str]) -> Object:
    """The body of a Service that is the changed one under the name in `own`, a body without spec.

    labels: of the copy. Raises NotRehearsableError, and PatchError where the Service is not what the plan was made for.
    """
    step = hop.step
    _refuse_what_no_other_address_shows(step, objects.namespace(own))
    fixed = json_patch.apply(step.service.object, list(change.patch))
    spec = {key: value for key, value in objects.spec(fixed).items() if key in _OF_A_SERVICE}
    ports = map(objects.mapping, objects.sequence(objects.spec(fixed).get("ports")))
    spec["ports"] = [{key: port[key] for key in _OF_A_PORT if port.get(key) is not None} for port in ports]
    # Nobody else looks for it, and other namespaces' sidecars need not hear of it.
    metadata = {**own["metadata"], "annotations": {EXPORT_ANNOTATION: "."}}
    body = {**own, "metadata": metadata, "spec": spec}
    _refuse_what_the_name_decides(config, hop, fixed, body, labels)
    return body


def at(step: Step, service_object: Object) -> Step:
    """The step by way of a Service's stand-in. service_object: as the API server has it."""
    found = objects.service(service_object)
    return step._replace(service=found, port=found.port(step.port.number) or step.port)


def not_shown(hop: Hop, change: Change) -> tuple[str, ...]:
    """What a stand-in leaves open, as sentences."""
    step = hop.step
    if change.target.kind == "DestinationRule":
        return (f"Whether other clients that would use {change.target} are served too was not tried.",)
    deciding, _port = inbound.deciding(step)
    changed = (deciding.namespace, deciding.name) == (step.service.namespace, step.service.name)
    number = objects.target_port(step.port, step.server.pods[0])
    server = (
        f"{step.server}'s own sidecar went on handling port {number} as Service {deciding.name} declares it, the "
        "oldest that leads there"
    )
    if changed:
        server += ": what the fix makes of that, and of policies for HTTP there, was not tried"
    return f"{server}.", f"Whether other clients of {change.target} are served too was not tried."


def _refuse_what_no_other_address_shows(step: Step, namespace: str) -> None:
    service_name = f"Service {step.service.namespace}/{step.service.name}"
    if step.service.namespace != namespace:
        raise NotRehearsableError(
            f"{service_name} is in another namespace than the proxy, and a copy's things are not."
        )
    if step.pods_dialled or not step.service.selector:
        raise NotRehearsableError(
            f"{service_name} has no address of its own that leads to pods, so none can stand for it."
        )
    if _is_address(step.endpoint.host):
        raise NotRehearsableError(f"{step.client} dials {step.endpoint.host}, which no other address can stand for.")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refuse_what_the_name_decides(config: Mesh, hop: Hop, fixed: Object, body: Object, labels: dict[str, str]) -> None:
    """Rules for the Service's host do not hold for another name, and a Sidecar resource may not import that."""
    client = hop.step.client
    made = {**body, "spec": {**body["spec"], "clusterIP": _SOME_ADDRESS, "clusterIPs": [_SOME_ADDRESS]}}
    beside, why = _treated(config, hop, _labelled(client, labels), made)
    if beside != _treated(config, hop, client, fixed)[0]:
        raise NotRehearsableError(
            f"The mesh treats Service {hop.step.service.name} by its name, which nothing beside it has; through "
            f"another one, {why}."
        )


def _treated(config: Mesh, hop: Hop, client: Workload, service_object: Object) -> tuple[object, str]:
    """What becomes of the hop's request to a Service, but for its name; and why, for people."""
    services = hop.step.services.having(service_object)
    step = at(hop.step._replace(client=client, services=services), service_object)
    taken = route.predict(config, step, hop.host, services)
    rules = [objects.spec(obj) for obj in destination_rule.lookup(config, client, step.service)]
    return (taken.kind, taken.source, taken.subset, taken.host_after, rules), taken.why
