# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenShift's oauth-proxy: a relative of oauth2-proxy that takes no variables; keeps the incoming Host unless told.

Sources: openshift/oauth-proxy oauthproxy.go:174 (`-pass-host-header`, default true), wsutil (WebSockets keep the Host
all the same).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import oauth_settings, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import HostArgument, Seen

KIND = "openshift oauth-proxy"
NAMES = ("origin-oauth-proxy", "oauth-proxy")
HOST_FLAG = "pass-host-header"
ARGUMENT = HostArgument(
    HOST_FLAG,
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
    blank = Relay(KIND, seen.container.name, host="")
    try:
        upstreams = oauth_settings.setting(seen, "upstream", "", "upstreams")
        upstream = oauth_settings.proxied(upstreams.values, seen.arrival.path)
        if not upstream:
            return blank._replace(problem="none of its upstreams is an http or https URL for the path of a query")
        blank = blank._replace(upstream=upstream)
        keeps = oauth_settings.setting(seen, HOST_FLAG, "", "pass_host_header").values
    except FileError as error:
        return blank._replace(problem=str(error))
    return blank._replace(host=UPSTREAM if keeps and keeps[-1].lower() in ("false", "f", "0") else PRESERVE)


def unable(_container: Container) -> str:
    return ""


def with_host(args: list[str], _host: str) -> list[str]:
    """It sends the host of its upstream's URL, whatever that is."""
    return [*program.without_switch(args, HOST_FLAG), f"--{HOST_FLAG}=false"]
