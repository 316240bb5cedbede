# SPDX-License-Identifier: GPL-3.0-or-later
"""The third witness: what the sidecars of a hop have been given, whatever the API server holds.

Envoy is asked for what this hop meets and nothing else: see `names`. Its answer can contradict the configuration, for
the configuration reaches it later (istiod gathers changes for up to ten seconds), and EnvoyFilters change it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    envoy_inbound,
    envoy_plain,
    envoy_route,
    hostnames,
    objects,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_inbound import Accepted
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_route import Met
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import Dump
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import (
    SIDECAR_CONTAINER,
    Pod,
    Workload,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    BLOCKED,
    DYNAMIC_DNS,
    NO_CLUSTER,
    OTHER_SERVICE,
    PASSTHROUGH,
    SERVICE,
    UNKNOWN,
    Hop,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import HTTP_1_0
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Snapshot

# Routes that a sidecar takes; without a sidecar there is nothing to ask.
_IN_ENVOY = (SERVICE, OTHER_SERVICE, PASSTHROUGH, BLOCKED, DYNAMIC_DNS, NO_CLUSTER)
# Where a request ends before it reaches the server, the server's side decides nothing.
_ARRIVES = (SERVICE, PASSTHROUGH)


class EnvoySays(NamedTuple):
    """What Envoy has on both sides of a hop.

    route     the kind of route that the client's Envoy would take, in the words of _model.path; "" = it does not say
    met       what leads there
    transport how the client's Envoy speaks to the server's pods; "" = it does not say
    server    the pod whose Envoy was asked
    accepted  what that Envoy does with the port; None = it does not say
    problem   why one of both does not say anything; "" where both do
    """

    route: str = ""
    met: Met = Met("", "")
    transport: str = ""
    server: str = ""
    accepted: Accepted | None = None
    problem: str = ""


def needs(hop: Hop, domain: str) -> tuple[Need, ...]:
    """The part of Envoy's configuration that a hop meets, of one pod on each side. domain: the cluster's own."""
    client, server = _pod(hop.step.client), _pod(hop.step.server)
    return tuple(
        need for need in (_need(client, names(hop, domain)), _need(server, envoy_inbound.VIRTUAL_INBOUND)) if need
    )


def names(hop: Hop, domain: str) -> str:
    """The names of the listeners, route tables and clusters that this hop can meet, as a regular expression (RE2).

    In a large mesh everything else is nearly all.
    """
    step, port = hop.step, hop.step.port.number
    own = [pod.ip for pod in step.pods_dialled] or list(step.service.cluster_ips)
    full = re.escape(hostnames.fqdn(step.service, domain))
    addresses = "|".join(re.escape(address) for address in (*own, *envoy_route.ANY_ADDRESSES))
    predicted = [re.escape(hop.route.cluster)] if hop.route.cluster else []
    return "|".join(
        (
            rf"({addresses})_{port}",
            envoy_route.CATCH_ALL,
            rf"({full}:)?{port}",
            rf"outbound\|{port}\|[^|]*\|{full}",
            *envoy_route.OWN_CLUSTERS,
            *predicted,
        )
    )


def hear(question: Question, snapshot: Snapshot, hop: Hop) -> EnvoySays:
    """What Envoy says about a hop. Raises NotReadError.

    A side that does not answer is the last that is asked: the other alone proves nothing.
    """
    domain = question.cluster_domain
    if not question.read_envoy:
        return EnvoySays(problem="Envoy was not asked (read_envoy)")
    wanted = needs(hop, domain)
    answers: dict[Need, Answer] = {}
    for need in wanted:
        (answers[need],) = snapshot.require(need)
        if answers[need].problem:
            break
    problems = [answer.problem for answer in answers.values() if answer.problem]
    dumps = {
        (need.namespace, need.name): envoy_plain.from_object(answer.objects[0], f"Pod {need.namespace}/{need.name}")
        for need, answer in answers.items()
        if answer.objects and not answer.problem
    }
    said = EnvoySays(problem="; ".join(problems) or ("" if wanted else "no sidecar is on this hop"))
    client, server = _pod(hop.step.client), _pod(hop.step.server)
    if client is not None and (client.namespace, client.name) in dumps:
        said = _client_side(said, hop, domain, dumps[client.namespace, client.name])
    if server is not None and (server.namespace, server.name) in dumps:
        port = objects.target_port(hop.step.port, server)
        accepted = envoy_inbound.accepted(dumps[server.namespace, server.name], port)
        said = said._replace(server=server.name, accepted=accepted)
    return said


def contradictions(hop: Hop, said: EnvoySays) -> tuple[str, ...]:
    """Where Envoy has something else than the configuration gives it, as sentences without a full stop."""
    found = []
    if said.route not in ("", UNKNOWN) and hop.route.kind in _IN_ENVOY:
        if said.route != hop.route.kind:
            found.append(f"Configuration says {hop.route.kind} ({hop.route.why}); the client's Envoy has {said.route}")
        elif said.route == SERVICE and said.transport not in ("", UNKNOWN, hop.transport.mode):
            predicted = f"{hop.transport.mode} ({hop.transport.why})"
            found.append(f"Configuration says {predicted}; the client's Envoy has {said.transport}")
    mode = dict(hop.modes).get(said.server)
    if mode is not None and said.accepted is not None and said.accepted.mode not in ("", mode.mode):
        found.append(
            f"Configuration says that {said.server} is {mode.mode} ({mode.source}); its Envoy is {said.accepted.mode}"
        )
    return tuple(found)


def agrees(hop: Hop, said: EnvoySays) -> bool:
    """Whether Envoy has all that the prediction for a hop rests on, and nothing else."""
    if said.route != hop.route.kind or hop.route.kind not in _IN_ENVOY or contradictions(hop, said):
        return False
    if said.route == SERVICE and said.transport != hop.transport.mode:
        return False
    return hop.route.kind not in _ARRIVES or not hop.modes or said.accepted is not None


def denies_all(said: EnvoySays) -> bool:
    """Whether the server's Envoy turns every TCP connection away by AuthorizationPolicies."""
    if said.accepted is None:
        return False
    everyone = any(rule.action == "DENY" and rule.everyone for rule in said.accepted.rules["tcp"])
    return said.accepted.denies or everyone


def describe(hop: Hop, said: EnvoySays) -> tuple[str, ...]:
    """Both Envoys' words about a hop, or why there are none, as lines of evidence."""
    lines = []
    if said.route:
        met = said.met
        way = [met.listener or "no listener", met.table and f"route table {met.table}", met.virtual_host, met.cluster]
        answer = f"answers {met.answer}" if met.answer else ""
        text = " -> ".join(part for part in (*way, answer) if part)
        lines.append(f"{hop.step.client.name}'s Envoy has: {text}{f', {said.transport}' if said.transport else ''}")
    if said.accepted is not None:
        kinds = " and ".join(said.accepted.kinds) or "nothing"
        denies = "; its policies deny every connection" if denies_all(said) else ""
        lines.append(f"{said.server}'s Envoy accepts: {said.accepted.mode or 'nothing'}, {kinds}{denies}")
    return (*lines, f"Envoy: {said.problem}") if said.problem else tuple(lines)


def _client_side(said: EnvoySays, hop: Hop, domain: str, dump: Dump) -> EnvoySays:
    step = hop.step
    address = next(iter([*(pod.ip for pod in step.pods_dialled), *step.service.cluster_ips]), "")
    relay = step.client_relay
    version = "http/1.0" if relay and relay.http_version == HTTP_1_0 else envoy_route.HTTP_1_1
    met = envoy_route.outbound(dump, address, step.port.number, hop.host, version)
    full, asked = hostnames.fqdn(step.service, domain), re.compile(names(hop, domain))
    kind = envoy_route.kind(dump, met, full, step.port.number, asked)
    endpoints = [(pod.ip, objects.target_port(step.port, pod)) for pod in step.server.pods]
    transport = envoy_route.transport(dump, met.cluster, endpoints) if kind == SERVICE else ""
    return said._replace(route=kind, met=met, transport=transport)


def _pod(workload: Workload) -> Pod | None:
    pods = [pod for pod in (workload.ready_pods or workload.pods) if pod.mesh == "sidecar"]
    return pods[0] if pods else None


def _need(pod: Pod | None, wanted: str) -> Need | None:
    if pod is None:
        return None
    return Need("envoy", "Pod", pod.namespace, pod.name, container=SIDECAR_CONTAINER, command=(wanted,))
