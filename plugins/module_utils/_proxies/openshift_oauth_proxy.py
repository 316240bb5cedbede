# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenShift's oauth-proxy: a relative of oauth2-proxy that takes no variables; keeps the incoming Host unless told.

Sources: openshift/oauth-proxy oauthproxy.go:174 (`-pass-host-header`, default true), wsutil (WebSockets keep the Host
all the same).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import oauth_settings, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import HostArgument, Seen

KIND = "openshift oauth-proxy"
NAMES = ("origin-oauth-proxy", "oauth-proxy")
ARGUMENT = HostArgument(
    oauth_settings.HOST_FLAG,
    False,
    None,
    "/usr/bin/oauth-proxy",
    "Its upstream sees its own name as Host; WebSocket requests keep the incoming Host all the same.",
)


def recognise(container: Container) -> bool:
    name = program.last(container.image)
    # ose-oauth-proxy, ose-oauth-proxy-rhel9
    return (
        name in NAMES
        or name.startswith("ose-oauth-proxy")
        or bool(program.flag(container, "openshift-service-account"))
    )


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port, "http-address", "https-address")


def relay(seen: Seen) -> Relay:
    return oauth_settings.relay(seen, Relay(KIND, seen.container.name, host=""), variables=False)


def unable(_container: Container) -> str:
    return ""


def with_host(args: list[str], _host: str) -> list[str]:
    return oauth_settings.with_host(args)
