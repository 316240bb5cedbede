# SPDX-License-Identifier: GPL-3.0-or-later
"""prom-label-proxy: enforces a label on every query and keeps the incoming Host.

Sources: prometheus-community/prom-label-proxy injectproxy/routes.go (a Go reverse proxy that leaves the Host alone, all
versions), CHANGELOG 0.15.0 and main.go (`--rewrite-host-header-to`; older versions exit 2 on it). Measured: docs/truth-
table.md rows 6, 7.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program

KIND = "prom-label-proxy"
HOST_FLAG = "rewrite-host-header-to"
HOST_FLAG_SINCE = (0, 15, 0)
# Where the published images keep the program; a container's command says otherwise.
PROGRAM = "/bin/prom-label-proxy"


def recognise(container: Container) -> bool:
    if program.repository(container.image).endswith(KIND):
        return True
    return (
        program.flag(container, "insecure-listen-address") is not None and program.flag(container, "label") is not None
    )


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "insecure-listen-address")


def relay(container: Container) -> Relay:
    upstream = program.flag(container, "upstream") or ""
    return Relay(
        kind=KIND,
        container=container.name,
        upstream=upstream,
        host=program.flag(container, HOST_FLAG) or PRESERVE,
        tenant_label=program.flag(container, "label") or "",
        problem="" if upstream else "its arguments have no --upstream",
    )


def program_path(container: Container) -> str:
    return container.command[0] if container.command else PROGRAM


def with_host(args: list[str], host: str) -> list[str]:
    """The arguments with the Host to send, in place of any that was set before."""
    kept: list[str] = []
    skip = False
    for word in args:
        if skip:
            skip = False
            continue
        if word.startswith("-") and word.lstrip("-").partition("=")[0] == HOST_FLAG:
            skip = "=" not in word
            continue
        kept.append(word)
    return [*kept, f"--{HOST_FLAG}={host}"]
