# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection's model predicts for each hop of a mesh, beside what Envoy really has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    authorization,
    envoy_inbound,
    envoy_route,
    hostnames,
    inbound,
    mesh,
    objects,
    protocol,
    walk,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import Dump
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import SERVICE, UNKNOWN, Hop, Step
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    NotReadError,
    Snapshot,
)
from differential import settled
from differential.generator import DOMAIN, Slot

Object = dict[str, Any]
Said = dict[str, str]
UNDECIDED: Said = {"kind": UNKNOWN}


class Compared(NamedTuple):
    """One hop, or one port of the server. model says UNDECIDED where it does not know."""

    what: str
    model: Said
    envoy: Said

    @property
    def decided(self) -> bool:
        return self.model != UNDECIDED

    @property
    def agrees(self) -> bool:
        return not self.decided or self.model == self.envoy


class Seen(NamedTuple):
    """A mesh as the API server has it, and what the sidecars of its two meshed pods were given."""

    slot: Slot
    objects: Sequence[Object]
    settings: Mapping[str, Any]
    client: Dump
    server: Dump


def compare(seen: Seen) -> list[Compared]:
    """Every Service port of the server's namespace under every Host that could be sent there."""
    return [*_hops(seen), *_ports(seen)]


def _hops(seen: Seen) -> Iterator[Compared]:
    for step in _steps(seen):
        for host in _hosts(seen, step):
            hop = _predicted(seen, step, host)
            yield Compared(
                f"Host {host} to {step.service.name}:{step.port.number}", _model(hop), _envoy(seen, step, host)
            )


def _ports(seen: Seen) -> Iterator[Compared]:
    """The server's side, once per container port."""
    told = set()
    for step in _steps(seen):
        for pod in step.server.pods:
            number = objects.target_port(step.port, pod)
            if pod.mesh == "sidecar" and number and number not in told:
                told.add(number)
                yield _port(seen, step._replace(server=step.server._replace(pods=(pod,))), number)


def _steps(seen: Seen) -> Iterator[Step]:
    listed = _of(seen, "Service", seen.slot.server)
    services, index = tuple(map(objects.service, listed)), ServiceIndex([Answer(tuple(listed))])
    (client,) = objects.group_by_workload(tuple(map(objects.pod, _of(seen, "Pod", seen.slot.client))))
    pods = tuple(map(objects.pod, _of(seen, "Pod", seen.slot.server)))
    for service in services:
        chosen = tuple(pod for pod in pods if service.selector and objects.selects(service.selector, pod.labels))
        for port in service.ports if chosen else ():
            server = objects.group_by_workload(chosen)[0]._replace(pods=chosen)
            endpoint = hostnames.Endpoint("http", f"{service.name}.{service.namespace}", port.number)
            url = f"http://{endpoint.host}:{port.number}"
            yield Step(client, None, url, endpoint, service, port, server, index, Relay("", ""))


def _hosts(seen: Seen, step: Step) -> list[str]:
    slot, name, number = seen.slot, step.service.name, step.port.number
    full = f"{name}.{slot.server}.{DOMAIN}"
    own = [
        full,
        f"{full}:{number}",
        f"{full}.",
        full.upper(),
        name,
        f"{name}.{slot.server}",
        f"{name}.{slot.server}.svc",
    ]
    others = [f"{obj['metadata']['name']}.{slot.server}" for obj in _of(seen, "Service", slot.server)]
    elsewhere = [f"{obj['metadata']['name']}.{slot.client}" for obj in _of(seen, "Service", slot.client)]
    short = [obj["metadata"]["name"] for obj in _of(seen, "Service", slot.client)]
    own_addresses = () if step.service.headless else step.service.cluster_ips
    addresses = [*own_addresses, f"{step.server.pods[0].ip}:{number}"]
    below = [f"pod-0.{full}"]
    return list(
        dict.fromkeys([*own, *others, *elsewhere, *short, *addresses, *below, *slot.foreign, f"{slot.foreign[0]}:8080"])
    )


def _of(seen: Seen, kind: str, namespace: str) -> list[Object]:
    return [obj for obj in seen.objects if obj["kind"] == kind and obj["metadata"].get("namespace") == namespace]


def _question(seen: Seen) -> Question:
    return Question(seen.slot.client, "client", "Pod", read_logs=False)


def _answer(seen: Seen, need: Need) -> Answer:
    if need.kind == "MeshConfig":
        return Answer(({"kind": "MeshConfig", "metadata": {"name": need.name}, "mesh": seen.settings},))
    return Answer(
        tuple(
            obj
            for obj in seen.objects
            if obj["kind"] == need.kind
            and need.namespace in ("", obj["metadata"].get("namespace"))
            and need.name in ("", obj["metadata"]["name"])
        )
    )


def _predicted(seen: Seen, step: Step, host: str) -> Hop:
    snapshot = Snapshot()
    while True:
        try:
            config = mesh.read(_question(seen), snapshot, [step.client.namespace], [step.server.namespace])
            return walk.predict(config, snapshot, step, host)
        except NotReadError as missing:
            snapshot = snapshot.extended({need.key: _answer(seen, need) for need in missing.needs})


def _model(hop: Hop) -> Said:
    route = hop.route
    if route.kind == UNKNOWN:
        return UNDECIDED
    said = {"kind": route.kind, "listener": route.listener, "cluster": route.cluster, "route": route.name}
    if route.kind == SERVICE:
        said |= {"host": route.host_after, "tls": hop.transport.mode}
    return said


def _envoy(seen: Seen, step: Step, host: str) -> Said:
    pod, service, number = step.server.pods[0], step.service, step.port.number
    # A name of a headless Service resolves to pods, and nothing translates the port that a client dials there.
    address = pod.ip if service.headless else service.cluster_ips[0]
    met = envoy_route.outbound(seen.client, address, number, host)
    kind = envoy_route.kind(seen.client, met, hostnames.fqdn(service, "cluster.local"), step.port.number)
    listener = f"<pod>_{number}" if service.headless and met.listener.startswith(pod.ip) else met.listener
    said = {"kind": kind, "listener": listener, "cluster": met.cluster, "route": met.route}
    if kind == SERVICE:
        said |= {"host": met.host, "tls": envoy_route.transport(seen.client, met.cluster, _endpoints(step))}
    return said


def _endpoints(step: Step) -> list[tuple[str, int]]:
    return [(pod.ip, objects.target_port(step.port, pod)) for pod in step.server.pods]


def _port(seen: Seen, step: Step, number: int) -> Compared:
    accepted = envoy_inbound.accepted(seen.server, number)
    hop = _predicted(seen, step, step.endpoint.authority)
    _service, port = inbound.deciding(step)
    kinds = {protocol.HTTP: "http", protocol.TCP: "tcp", protocol.AUTO: "http tcp"}
    declared = inbound.kind(port) in kinds
    model = {"mode": hop.mode.mode if hop.mode else "", "kinds": kinds.get(inbound.kind(port), "http tcp")}
    envoy = {"mode": accepted.mode, "kinds": " ".join(accepted.kinds)}
    policies = [obj for obj in seen.objects if obj["kind"] == "AuthorizationPolicy"]
    if "tcp" in accepted.kinds:
        expected = authorization.rules_on_tcp(step.server, policies)
        model["rules"] = " ".join(sorted(f"{rule.action}:{rule.name}:{rule.everyone}" for rule in expected))
        met = [rule for rule in accepted.rules["tcp"] if f"policy[{settled.MARK}" not in rule.name]
        envoy["rules"] = " ".join(sorted(f"{rule.action}:{rule.name}:{rule.everyone}" for rule in met))
    return Compared(f"server port {number}" + ("" if declared else " (no TCP)"), model, envoy)
