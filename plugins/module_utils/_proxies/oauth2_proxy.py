# SPDX-License-Identifier: GPL-3.0-or-later
"""oauth2-proxy: logs a person in, then keeps the incoming Host unless told otherwise.

Sources: oauth2-proxy/oauth2-proxy pkg/upstream/http.go and pkg/apis/options (`--pass-host-header`, default true,
since bitly/oauth2_proxy#68 of 2015); alpha configuration: docs "Alpha Configuration"; issue 2494 (no
X-Forwarded-Host).
"""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import PRESERVE, UPSTREAM, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import files, oauth_settings, program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import File, FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import HostArgument, Seen

KIND = "oauth2-proxy"
NAMES = ("oauth2-proxy", "oauth2_proxy")
ARGUMENT = HostArgument(
    oauth_settings.HOST_FLAG,
    False,
    None,
    "/bin/oauth2-proxy",
    "Its upstream sees its own name as Host and no X-Forwarded-Host; cookies and redirects of oauth2-proxy itself keep "
    "following the incoming Host.",
)
_ALPHA = "alpha-config"


def recognise(container: Container) -> bool:
    return program.last(container.image) in NAMES


def listens(container: Container, port: int) -> bool:
    variables = (container.env.get(f"OAUTH2_PROXY_{name}_ADDRESS") for name in ("HTTP", "HTTPS"))
    return program.listens(container, port, "http-address", "https-address") or any(
        address is not None and program.listening_port(address) == port for address in variables
    )


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        alpha = program.flag(seen.container, _ALPHA)
        if alpha:
            return _alpha(seen, files.document(seen, alpha), blank)
    except FileError as error:
        return blank._replace(problem=str(error))
    return oauth_settings.relay(seen, blank, variables=True)


def _alpha(seen: Seen, file: File, blank: Relay) -> Relay:
    """The alpha configuration takes the place of the flags for upstreams, which must then be absent."""
    configured = objects.mapping(objects.mapping(file.content).get("upstreamConfig"))
    entries = [objects.mapping(entry) for entry in objects.sequence(configured.get("upstreams"))]
    routes: dict[str, dict[str, Any]] = {}
    for entry in entries:
        path, uri = objects.text(entry.get("path")) or "/", objects.text(entry.get("uri"))
        if path.startswith("^") or entry.get("rewriteTarget"):
            return blank._replace(problem=f"{file.place} has an upstream with a regular expression or a rewriteTarget")
        if uri.startswith(("http://", "https://")) and not entry.get("static"):
            routes[path] = entry
    matching = [
        path
        for path in routes
        if seen.arrival.path == path or (path.endswith("/") and seen.arrival.path.startswith(path))
    ]
    if not matching:
        return blank._replace(problem=f"{file.place} has no http or https upstream for the path of a query")
    chosen = routes[max(matching, key=len)]
    named = objects.text(chosen.get("id"))
    return blank._replace(
        upstream=objects.text(chosen.get("uri")),
        host=UPSTREAM if chosen.get("passHostHeader") is False else PRESERVE,
        how=f"set `passHostHeader: false` for upstream {named} in {file.place}, so that it sends that URL's host",
    )


def unable(container: Container) -> str:
    if program.flag(container, _ALPHA):
        return f"{KIND} with --{_ALPHA} does not start with --{oauth_settings.HOST_FLAG}."
    return ""


def with_host(args: list[str], _host: str) -> list[str]:
    return oauth_settings.with_host(args)
