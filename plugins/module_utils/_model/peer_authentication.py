# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's sidecar accepts on a port: STRICT, PERMISSIVE or DISABLE.

Source: istio/istio release-1.31 pilot/pkg/security/authn/policy_applier.go:398-466 (ComposePeerAuthentication):
mesh (root namespace, no selector) < namespace (no selector) < workload (selector, not in the root namespace) <
portLevelMtls of that one workload policy. UNSET inherits, nothing at all is PERMISSIVE, the oldest policy of a level
wins.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

STRICT, PERMISSIVE, DISABLE = "STRICT", "PERMISSIVE", "DISABLE"
DEFAULT_SOURCE = "no PeerAuthentication applies"


class Mode(NamedTuple):
    """mode: STRICT, PERMISSIVE or DISABLE.

    source: the PeerAuthentication that says so, `PeerAuthentication/namespace/name`.
    """

    mode: str
    source: str


def of_pod(config: Mesh, pod: Pod, port: int) -> Mode:
    """The mode on a container port of a pod."""
    mode = of_namespace(config, pod.namespace)
    workload = next(iter(workload_policies(config, pod)), None)
    if workload is None:
        return mode
    source = objects.reference("PeerAuthentication", workload)
    body = objects.spec(workload)
    mode = _declared(body.get("mtls"), source) or mode
    ports = objects.mapping(body.get("portLevelMtls"))
    return _declared(ports.get(str(port)), f"{source} portLevelMtls {port}") or mode


def workload_policies(config: Mesh, pod: Pod) -> list[Object]:
    """The policies with a selector that match a pod, oldest first; only the first one counts."""
    found = [
        obj
        for obj in config.of("PeerAuthentication")
        if objects.namespace(obj) == pod.namespace != config.root_namespace
        and _selector(obj)
        and objects.selects(_selector(obj), pod.labels)
    ]
    return sorted(found, key=lambda obj: (objects.created(obj), objects.name(obj)))


def of_namespace(config: Mesh, namespace: str) -> Mode:
    """The mode that a namespace has without workload policies.

    From this alone a client infers DISABLE: push_context.go:2569-2609.
    """
    mode = Mode(PERMISSIVE, DEFAULT_SOURCE)
    for level in dict.fromkeys((config.root_namespace, namespace)):
        policy = _oldest(
            [obj for obj in config.of("PeerAuthentication") if objects.namespace(obj) == level and not _selector(obj)]
        )
        if policy is not None:
            mode = _declared(objects.spec(policy).get("mtls"), objects.reference("PeerAuthentication", policy)) or mode
    return mode


def _declared(mtls: object, source: str) -> Mode | None:
    mode = objects.text(objects.mapping(mtls).get("mode")) or "UNSET"
    return None if mode == "UNSET" else Mode(mode, source)


def _oldest(policies: list[Object]) -> Object | None:
    return min(policies, key=lambda obj: (objects.created(obj), objects.name(obj)), default=None)


def _selector(obj: Object) -> dict[str, str]:
    return objects.mapping(objects.mapping(objects.spec(obj).get("selector")).get("matchLabels"))
