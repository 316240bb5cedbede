# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies that are known by name while what they do with a query is written where this collection does not look.

Ingress controllers keep it in Ingress and Route objects of other groups, API gateways in a database, and of some the
versions differ. They are named, with what a user must know to say it with `proxies`.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import program
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen


class Known(NamedTuple):
    """images: ends of the image's repository. why: where its routes are, and what is usual. how: the knob."""

    kind: str
    images: tuple[str, ...]
    why: str
    how: str


KNOWN = (
    Known(
        "ingress-nginx",
        ("ingress-nginx/controller", "nginx-ingress-controller"),
        "its routes are Ingress objects, which are not read; it dials pods and keeps the Host unless annotated",
        'annotate the Ingress with nginx.ingress.kubernetes.io/service-upstream: "true" and upstream-vhost: {host}',
    ),
    Known(
        "traefik",
        ("traefik", "mirrored-library-traefik"),
        "its routes are IngressRoute objects, which are not read; it keeps the Host unless passHostHeader is false",
        "set passHostHeader: false and nativeLB: true for the service in its IngressRoute",
    ),
    Known(
        "haproxy-ingress",
        ("kubernetes-ingress", "haproxy-ingress"),
        "its routes are Ingress objects, which are not read",
        "annotate the Ingress with haproxy.org/set-host: {host}",
    ),
    Known(
        "kong",
        ("kong", "kong-gateway"),
        "its routes are in its database or in objects of its own, which are not read",
        "set preserve_host: false for the route",
    ),
    Known(
        "apisix",
        ("apisix",),
        "its routes are in its database or in objects of its own, which are not read",
        "set pass_host: rewrite and upstream_host: {host} for the upstream",
    ),
    Known(
        "authentik",
        ("goauthentik/proxy", "goauthentik/server"),
        "its providers are in its database, and versions differ in the Host that they send",
        "no setting for the Host is stable across versions of authentik",
    ),
    Known(
        "prometheus-filter-proxy",
        ("prometheus-filter-proxy",),
        "its arguments are not known here; it sends the upstream's own name as Host",
        "",
    ),
)


def recognise(container: Container) -> bool:
    return _known(container) is not None


def listens(container: Container, port: int) -> bool:
    return program.listens(container, port)


def relay(seen: Seen) -> Relay:
    known = _known(seen.container)
    kind, why, how = (known.kind, known.why, known.how) if known else ("", "", "")
    return Relay(kind, seen.container.name, host="", problem=why, how=how)


def _known(container: Container) -> Known | None:
    path = f"/{program.repository(container.image)}"
    return next((known for known in KNOWN if path.endswith(tuple(f"/{image}" for image in known.images))), None)
