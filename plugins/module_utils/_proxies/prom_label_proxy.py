# SPDX-License-Identifier: GPL-3.0-or-later
"""prom-label-proxy: enforces a label on every query and keeps the incoming Host.

Sources: prometheus-community/prom-label-proxy injectproxy/routes.go (a Go reverse proxy that leaves the Host alone,
all versions), CHANGELOG 0.15.0 and main.go (`--rewrite-host-header-to`; older versions exit 2 on it). Measured:
docs/truth- table.md rows 6, 7.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import HostArgument, Seen

KIND = "prom-label-proxy"
HOST_FLAG = "rewrite-host-header-to"
HOST_FLAG_SINCE = (0, 15, 0)
ARGUMENT = HostArgument(
    HOST_FLAG,
    True,
    HOST_FLAG_SINCE,
    "/bin/prom-label-proxy",
    "Queries also carry X-Forwarded-Host and X-Forwarded-Proto to the upstream.",
)


def recognise(container: Container) -> bool:
    if program.repository(container.image).endswith(KIND):
        return True
    return (
        program.flag(container, "insecure-listen-address") is not None and program.flag(container, "label") is not None
    )


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "insecure-listen-address")


def relay(seen: Seen) -> Relay:
    container = seen.container
    upstream = program.flag(container, "upstream") or ""
    return Relay(
        kind=KIND,
        container=container.name,
        upstream=upstream,
        host=program.flag(container, HOST_FLAG) or PRESERVE,
        tenant_label=program.flag(container, "label") or "",
        problem="" if upstream else "its arguments have no --upstream",
    )


def unable(_container: Container) -> str:
    return ""


def with_host(args: list[str], host: str) -> list[str]:
    """The arguments with the Host to send, in place of any that was set before."""
    return [*program.without_flag(args, HOST_FLAG), f"--{HOST_FLAG}={host}"]
