# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy kinds that are known, one module each.

An explicit list: AnsiballZ ships only what is imported by name.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Arrival, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import (
    apache,
    backend,
    caddy,
    envoy,
    haproxy,
    kube_rbac_proxy,
    louketo,
    multena_proxy,
    multi_tenant_proxy,
    nginx,
    oauth2_proxy,
    observatorium,
    openshift_oauth_proxy,
    pomerium,
    prom_authzed_proxy,
    prom_label_proxy,
    promxy,
    query_frontend,
    trickster,
    unread,
    vmauth,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import ArgumentKind, Kind, Seen

# The first that recognises a container takes it.
KINDS: tuple[Kind, ...] = (
    unread,
    prom_label_proxy,
    oauth2_proxy,
    openshift_oauth_proxy,
    kube_rbac_proxy,
    prom_authzed_proxy,
    multena_proxy,
    multi_tenant_proxy,
    observatorium,
    louketo,
    pomerium,
    vmauth,
    nginx,
    haproxy,
    caddy,
    apache,
    envoy,
    promxy,
    trickster,
    query_frontend,
    backend,
)
_BY_ARGUMENT: tuple[ArgumentKind, ...] = (prom_label_proxy, oauth2_proxy, openshift_oauth_proxy)


def recognise(pod: Pod, arrival: Arrival) -> Relay | None:
    """What a pod does with a query; None where no container is a known program. Raises NotReadError."""
    known = []
    for container in pod.containers:
        kind = next((kind for kind in KINDS if kind.recognise(container)), None)
        if kind is not None:
            known.append((container, kind))
    listening = [(container, kind) for container, kind in known if kind.listens(container, arrival.port)]
    # Ports need not be declared in a pod: the only container of a pod is the one that listens.
    chosen = listening or (known if len(pod.containers) == 1 else [])
    if not chosen:
        return None
    container, kind = chosen[0]
    return kind.relay(Seen(pod, container, arrival))


def by_argument(kind: str) -> ArgumentKind | None:
    """The module of a kind that is told its Host on the command line; None for other kinds."""
    return next((module for module in _BY_ARGUMENT if kind == module.KIND), None)
