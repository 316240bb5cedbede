# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy sends its upstream's own name as Host.

The cure at the cause: nothing but the proxy changes, the port stays HTTP, and policies keep their meaning.
Measured: docs/truth-table.md rows 6 (works), 7 (a proxy that does not know the flag exits 2).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import change, json_patch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    Effect,
    Ill,
    Proposal,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program, prom_label_proxy

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def propose(ill: Ill) -> Proposal:
    """Raises NotReadError."""
    troubled = ill.hops(HOST_CODES)
    if not troubled:
        return Proposal("No hop fails because of its Host.")
    _index, hop = troubled[0]
    relay = hop.step.client_relay
    if relay is None:
        return Proposal(
            f"{hop.step.client} derives its Host from the data source's URL; there is no proxy whose Host could be set."
        )
    if relay.kind != prom_label_proxy.KIND:
        return Proposal(f"How to set the Host that {relay.kind} in {hop.step.client} sends is not known here.")
    if hop.step.client.kind not in WORKLOADS:
        return Proposal(
            f"{hop.step.client} belongs to a {hop.step.client.kind}; set --{prom_label_proxy.HOST_FLAG} there."
        )
    unable = _unable(ill, hop, relay.container)
    if unable:
        return Proposal(unable)
    need = Need("get", hop.step.client.kind, hop.step.client.namespace, hop.step.client.name)
    answer = ill.snapshot.ask(need)
    if answer.problem or not answer.objects:
        return Proposal(f"{hop.step.client} cannot be read: {answer.problem or 'it does not exist'}.")
    return _patch(ill, hop, relay.container, answer.objects[0])


def _unable(ill: Ill, hop: Hop, container_name: str) -> str:
    """Why the running program cannot do it; "" where it can.

    What the program itself says counts more than its image's tag.
    """
    pod = (hop.step.client.ready_pods or hop.step.client.pods)[0]
    container = next(entry for entry in pod.containers if entry.name == container_name)
    command = (prom_label_proxy.program_path(container),)
    usage = ill.snapshot.ask(Need("help", "Pod", pod.namespace, pod.name, container=container.name, command=command))
    since = ".".join(map(str, prom_label_proxy.HOST_FLAG_SINCE))
    if not usage.problem:
        if prom_label_proxy.HOST_FLAG in usage.text:
            return ""
        return (
            f"{_running(container)} has no flag --{prom_label_proxy.HOST_FLAG} (it came with {since}); upgrade the "
            "image first."
        )
    version = program.version(container.image)
    if version is None:
        return (
            f"Whether {container.image} knows --{prom_label_proxy.HOST_FLAG} (since {since}) cannot be told: its tag "
            "is no version, and "
            f"its usage could not be asked ({usage.problem})."
        )
    if version < prom_label_proxy.HOST_FLAG_SINCE:
        return (
            f"{_running(container)} has no flag --{prom_label_proxy.HOST_FLAG} (it came with {since}); upgrade the "
            "image first."
        )
    return ""


def _running(container: Container) -> str:
    version = program.version(container.image)
    return f"{prom_label_proxy.KIND} {'.'.join(map(str, version))}" if version else f"The image {container.image}"


def _patch(ill: Ill, hop: Hop, container_name: str, workload: Object) -> Proposal:
    template = objects.mapping(objects.mapping(objects.spec(workload).get("template")).get("spec"))
    containers = [objects.mapping(entry) for entry in objects.sequence(template.get("containers"))]
    found = [position for position, entry in enumerate(containers) if entry.get("name") == container_name]
    if not found:
        return Proposal(f"{hop.step.client} has no container {container_name} in its template; is a rollout under way?")
    position = found[0]
    old = containers[position].get("args")
    host = hostnames.fqdn(hop.step.service, ill.path.mesh.domain)
    new = prom_label_proxy.with_host([objects.text(word) for word in objects.sequence(old)], host)
    where = ("spec", "template", "spec", "containers", position)
    field = change.Field(
        json_patch.pointer(*where, "args"), old, new, f"spec.template.spec.containers[{container_name}].args"
    )
    anchor = json_patch.test(json_patch.pointer(*where, "name"), container_name)
    why = f"{container_name} sends Host {host}, which is a name of the Service that it dials"
    step = change.patch(hop.step.client.kind, workload, [field], [anchor], why, change.ROLLOUT)
    pods = len(hop.step.client.pods)
    return Proposal(
        changes=(step,),
        effects=(
            Effect(
                "restarts", str(step.target), f"{step.target} rolls out again ({pods} pod{'s' if pods != 1 else ''})."
            ),
            Effect(
                "adds_headers",
                str(step.target),
                "Queries also carry X-Forwarded-Host and X-Forwarded-Proto to the upstream.",
            ),
        ),
    )
