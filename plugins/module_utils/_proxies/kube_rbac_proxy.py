# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-rbac-proxy: authorises a request against the Kubernetes API and keeps the incoming Host.

Source: brancz/kube-rbac-proxy cmd/kube-rbac-proxy/app/kube-rbac-proxy.go:267 @898a9f4 (a Go reverse proxy that leaves
the Host alone; no option for it up to v0.22).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

KIND = "kube-rbac-proxy"


def recognise(container: Container) -> bool:
    name = program.last(container.image)
    # ose-kube-rbac-proxy, ose-kube-rbac-proxy-rhel9
    return name == KIND or name.startswith(f"ose-{KIND}")


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "secure-listen-address", "insecure-listen-address")


def relay(seen: Seen) -> Relay:
    upstream = program.flag(seen.container, "upstream") or ""
    return Relay(
        KIND,
        seen.container.name,
        upstream=upstream,
        host=PRESERVE,
        problem="" if upstream else "its arguments have no --upstream",
        how=f"{KIND} has no option for the Host that it sends",
    )
