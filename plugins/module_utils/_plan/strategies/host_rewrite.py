# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy sends its upstream's own name as Host.

The cure at the cause: nothing but the proxy changes, the port stays HTTP, and policies keep their meaning.
Only arguments are changed. What stands in a configuration file is shown for its owner to change: see docs/proxies.md.
Measured: docs/truth-table.md rows 6 (works), 7 (a proxy that does not know the flag exits 2).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import WORKLOADS, Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    HTTP_1_0_CODE,
    Effect,
    Ill,
    Proposal,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import catalog, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import ArgumentKind


def propose(ill: Ill) -> Proposal:
    """Raises NotReadError."""
    troubled = ill.hops(HOST_CODES) or ill.hops((HTTP_1_0_CODE,))
    if not troubled:
        return Proposal("No hop fails because of its Host.")
    _index, hop = troubled[0]
    relay = hop.step.client_relay
    if relay is None:
        return Proposal(
            f"{hop.step.client} derives its Host from the data source's URL; there is no proxy whose Host could be set."
        )
    kind = catalog.by_argument(relay.kind)
    if kind is None or relay.how:
        return Proposal(_by_hand(ill, hop, relay))
    if hop.step.client.kind not in WORKLOADS:
        return Proposal(f"{hop.step.client} belongs to a {hop.step.client.kind}; set --{kind.ARGUMENT.flag} there.")
    unable = _unable(ill, hop, relay.container, kind)
    if unable:
        return Proposal(unable)
    need = Need("get", hop.step.client.kind, hop.step.client.namespace, hop.step.client.name)
    answer = ill.snapshot.ask(need)
    if answer.problem or not answer.objects:
        return Proposal(f"{hop.step.client} cannot be read: {answer.problem or 'it does not exist'}.")
    return _patch(ill, hop, relay, kind, answer.objects[0])


def _by_hand(ill: Ill, hop: Hop, relay: Relay) -> str:
    """What a person can do, where this collection changes nothing: a file belongs to whoever deploys it."""
    who = f"{relay.kind} in {hop.step.client}"
    if relay.how:
        how = relay.how.replace("{host}", hostnames.fqdn(hop.step.service, ill.path.mesh.domain))
        if hop.route.default_chain:
            return f"{who} speaks HTTP/{relay.http_version}, which no argument changes: {how}."
        return f"The Host that {who} sends is not set by an argument: {how}."
    if relay.host == UPSTREAM:
        return f"{who} already sends the name in its upstream's URL, {hop.host!r}; correct that URL."
    return f"How to set the Host that {who} sends is not known here."


def _unable(ill: Ill, hop: Hop, container_name: str, kind: ArgumentKind) -> str:
    """Why the running program cannot do it; "" where it can.

    What the program itself says counts more than its image's tag.
    """
    pod = (hop.step.client.ready_pods or hop.step.client.pods)[0]
    container = next(entry for entry in pod.containers if entry.name == container_name)
    flag, needed = kind.ARGUMENT.flag, kind.ARGUMENT.since
    if kind.unable(container) or needed is None:
        return kind.unable(container)
    command = (container.command[0] if container.command else kind.ARGUMENT.program,)
    usage = ill.snapshot.ask(Need("help", "Pod", pod.namespace, pod.name, container=container.name, command=command))
    since = ".".join(map(str, needed))
    version = program.version(container.image)
    too_old = f"{_running(container, kind)} has no flag --{flag} (it came with {since}); upgrade the image first."
    if not usage.problem:
        return "" if flag in usage.text else too_old
    if version is None:
        return (
            f"Whether {container.image} knows --{flag} (since {since}) cannot be told: its tag is no version, and its "
            f"usage could not be asked ({usage.problem})."
        )
    return too_old if version < needed else ""


def _running(container: Container, kind: ArgumentKind) -> str:
    version = program.version(container.image)
    return f"{kind.KIND} {'.'.join(map(str, version))}" if version else f"The image {container.image}"


def _patch(ill: Ill, hop: Hop, relay: Relay, kind: ArgumentKind, workload: Object) -> Proposal:
    template = objects.mapping(objects.mapping(objects.spec(workload).get("template")).get("spec"))
    containers = [objects.mapping(entry) for entry in objects.sequence(template.get("containers"))]
    name = relay.container
    found = [position for position, entry in enumerate(containers) if entry.get("name") == name]
    if not found:
        return Proposal(f"{hop.step.client} has no container {name} in its template; is a rollout under way?")
    position = found[0]
    old = containers[position].get("args")
    host = hostnames.fqdn(hop.step.service, ill.path.mesh.domain)
    new = kind.with_host([objects.text(word) for word in objects.sequence(old)], host)
    where = ("spec", "template", "spec", "containers", position)
    field = change.Field(json_patch.pointer(*where, "args"), old, new, f"spec.template.spec.containers[{name}].args")
    anchor = json_patch.test(json_patch.pointer(*where, "name"), name)
    sent = host if kind.ARGUMENT.literal else hop.step.endpoint.authority
    why = f"{name} sends Host {sent}, which is a name of the Service that it dials"
    step = change.patch(hop.step.client.kind, workload, [field], [anchor], why, change.ROLLOUT)
    pods = len(hop.step.client.pods)
    rolls = f"{step.target} rolls out again ({pods} pod{'s' if pods != 1 else ''})."
    return Proposal(
        changes=(step,),
        effects=(
            Effect("restarts", str(step.target), rolls),
            Effect("adds_headers", str(step.target), kind.ARGUMENT.effect),
        ),
    )
