# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx: sends the name in its proxy_pass as Host unless told otherwise, and speaks HTTP/1.0 unless told otherwise.

Sources: nginx docs ngx_http_proxy_module (proxy_pass, proxy_set_header: default `Host $proxy_host`, inherited only
where the inner level has none; proxy_http_version: 1.0 by default until 1.29.7); ngx_http_core_module (listen,
location). Measured: docs/truth-table.md rows P-nginx-host, P-nginx-def.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    HTTP_1_0,
    HTTP_1_1,
    HTTP_2,
    PRESERVE,
    UPSTREAM,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import (
    nginx_config,
    nginx_location,
    program,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.files import FileError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.nginx_location import Chain
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.nginx_syntax import Directive

KIND = "nginx"
NAMES = ("nginx", "nginx-unprivileged", "openresty")
HTTP_1_1_SINCE = (1, 29, 7)
# Of a value after its variables are replaced.
LONGEST = 512
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_INCOMING = re.compile(r"\$(?:host|http_host|\{host\}|\{http_host\})(?::.*)?")
_OWN = re.compile(r"\$(?:proxy_host|\{proxy_host\})(?::.*)?")
_TARGET = re.compile(
    r"(https?)://([^/?$\s]+)(?:[/?].*|\$(?:request_uri|uri|document_uri|is_args|args)\b.*)?", re.DOTALL
)


class Target(NamedTuple):
    """Where a proxy_pass leads. named: the Host that nginx sends on its own; UPSTREAM where that is the URL's."""

    url: str
    named: str


def recognise(container: Container) -> bool:
    return program.last(container.image) in NAMES and "ingress" not in container.image


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    blank = Relay(KIND, seen.container.name, host="")
    try:
        http = nginx_config.http_block(seen)
        found = {_followed(seen, chain) for chain in nginx_location.chains(http, seen.arrival)}
    except FileError as error:
        return blank._replace(problem=str(error))
    if len(found) != 1:
        return blank._replace(
            problem=f"{len(found)} servers on port {seen.arrival.port} differ, and server_name decides between them"
        )
    return found.pop()


def _followed(seen: Seen, chain: Chain) -> Relay:
    """What the innermost block says. Raises FileError for what is not understood."""
    innermost = chain.blocks[-1]
    passes = innermost.inner("proxy_pass")
    place = f"{chain.where} of {innermost.place}"
    if not passes or not passes[-1].args:
        raise FileError(f"{place} takes a query and has no proxy_pass")
    written = _substituted(passes[-1].args[0], chain, place)
    target = _target(written, chain, place)
    version = _http_version(seen.container, chain, place)
    host = _host(chain, target, place)
    how = _how(chain, host, version, place)
    return Relay(KIND, seen.container.name, upstream=target.url, host=host, http_version=version, how=how)


def _host(chain: Chain, target: Target, place: str) -> str:
    headers = _inherited(chain, "proxy_set_header")
    values = [entry.args[1] for entry in headers if len(entry.args) == 2 and entry.args[0].lower() == "host"]
    if not values:
        return target.named
    value = _substituted(values[-1], chain, place)
    if _INCOMING.fullmatch(value):
        return PRESERVE
    if _OWN.fullmatch(value):
        return target.named
    if value in ("$server_name", "${server_name}"):
        names = [entry.args[0] for block in chain.blocks for entry in block.inner("server_name") if entry.args]
        value = names[-1] if names else value
    if not value or "$" in value or "~" in value:
        raise FileError(f"{place} sends Host {values[-1]!r}, which is not followed")
    return value


def _target(written: str, chain: Chain, place: str) -> Target:
    found = _TARGET.fullmatch(written)
    if found is None or found[2].startswith("unix:"):
        raise FileError(f"{place} has proxy_pass {written!r}, which is not followed")
    scheme, authority = found[1], found[2].lower()
    block = next(
        (one for one in chain.blocks[0].inner("upstream") if one.args and one.args[0].lower() == authority), None
    )
    if block is None:
        return Target(f"{scheme}://{authority}", UPSTREAM)
    servers = {entry.args[0] for entry in block.inner("server") if entry.args}
    if len(servers) != 1 or any(server.startswith("unix:") for server in servers):
        raise FileError(
            f"upstream {authority} of {block.place} has {len(servers)} servers, and only one can be followed"
        )
    return Target(f"{scheme}://{servers.pop()}", authority)


def _http_version(container: Container, chain: Chain, place: str) -> str:
    given = _inherited(chain, "proxy_http_version")
    if given and given[-1].args:
        version = {"1.0": HTTP_1_0, "1.1": HTTP_1_1, "2": HTTP_2, "2.0": HTTP_2}.get(given[-1].args[0])
        if version is None:
            raise FileError(f"{place} has proxy_http_version {given[-1].args[0]!r}, which is not followed")
        return version
    return default_http_version(container.image)


def default_http_version(image: str) -> str:
    """What nginx speaks where nothing sets it; "" where the image's tag does not say which nginx it is."""
    numbers = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d])", program.tag(image))
    if numbers is None:
        return ""
    minor = (int(numbers[1]), int(numbers[2]))
    if numbers[3] is None and minor == HTTP_1_1_SINCE[:2]:
        return ""
    return HTTP_1_1 if (*minor, int(numbers[3] or 0)) >= HTTP_1_1_SINCE else HTTP_1_0


def _inherited(chain: Chain, name: str) -> list[Directive]:
    """The directives of the innermost level that has any: nginx does not add levels up."""
    return next((found for block in reversed(chain.blocks) if (found := block.inner(name))), [])


def _substituted(text: str, chain: Chain, place: str) -> str:
    """The text with the variables replaced that `set` gives a value outside of any condition."""
    values: dict[str, str] = {}
    for block in chain.blocks:
        for entry in block.inner("set"):
            if len(entry.args) == 2:
                values[entry.args[0].lstrip("$")] = _replaced(entry.args[1], values, place)
    return _replaced(text, values, place)


def _replaced(text: str, values: dict[str, str], place: str) -> str:
    result = _VARIABLE.sub(lambda found: values.get(found[1] or found[2], found[0]), text[:LONGEST])
    if max(len(text), len(result)) > LONGEST:
        raise FileError(f"{place} has a value of more than {LONGEST} characters")
    return result


def _how(chain: Chain, host: str, version: str, place: str) -> str:
    """What to write so that the Host and the version of HTTP are right; the Host that is nginx's own mostly is."""
    fresh = version in (HTTP_1_1, HTTP_2)
    directives = [*(["`proxy_set_header Host {host};`"] if host != UPSTREAM or fresh else [])]
    directives += [] if fresh else ["`proxy_http_version 1.1;`"]
    hides = "proxy_set_header" in directives[0] and not chain.blocks[-1].inner("proxy_set_header")
    lost = hides and _inherited(chain, "proxy_set_header")
    also = "; repeat there the headers set further out, which it hides" if lost else ""
    return f"write {' and '.join(directives)} in {place} and reload nginx{also}"
