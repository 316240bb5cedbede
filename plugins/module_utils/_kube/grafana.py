# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's HTTP API, by its URL or through the Kubernetes API to one of its pods. Each request is a new connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ConfigError,
    KubeError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.http import Reply, request

TIMEOUT = 30.0
BODY_LIMIT = 64 * 1024
JSON_LIMIT = 4 * 1024 * 1024
DEFAULT_PORT = 3000
# In kube-prometheus-stack, the Grafana chart, Grafana Operator and kube-prometheus.
PORT_NAMES = ("grafana", "http-web", "grafana-http", "http", "web", "service")


class GrafanaError(KubeError):
    """Grafana answered, but not with what was asked for."""


class Grafana:
    """One Grafana. `where` names it in messages."""

    def __init__(
        self,
        dial: Callable[[], AbstractContextManager[HTTPConnection]],
        where: str,
        token: str = "",
        prefix: str = "",
        host: str = "",
    ) -> None:
        """dial: opens a new connection. token: "" for anonymous access. prefix: what comes before /api.

        host: the Host to send; "" for that of the connection.
        """
        self._dial, self.where, self._prefix = dial, where, prefix
        self._headers = {"Accept": "application/json", "User-Agent": "meshops.istio_remediation"}
        if token:
            self._headers["Authorization"] = f"Bearer {token.strip()}"
        if host:
            self._headers["Host"] = host

    def get(self, path: str, limit: int = BODY_LIMIT, ready: Callable[[], None] = lambda: None) -> Reply:
        """GET a path of the API, whatever status comes back. Raises KubeError where no answer came.

        ready: called when the connection stands and before the request is sent.
        """
        with self._dial() as connection:
            return request(connection, self.where, "GET", self._prefix + path, self._headers, limit, ready)

    def json(self, path: str) -> Any:
        """The decoded answer. Raises GrafanaError where the status is not 200 or the body no JSON."""
        reply = self.get(path, JSON_LIMIT)
        if reply.status in (401, 403):
            raise GrafanaError(f"{self.where} refuses GET {path} ({reply.status}); check grafana_token and its role.")
        if reply.status != 200:
            raise GrafanaError(f"{self.where} answers GET {path} with status {reply.status}.")
        try:
            return json.loads(reply.body)
        except ValueError as error:
            raise GrafanaError(f"{self.where} answers GET {path} with something that is no JSON.") from error


def by_url(url: str, token: str = "", validate_certs: bool = True, timeout: float = TIMEOUT) -> Grafana:
    """Grafana at a URL such as `https://grafana.example.com/sub`. Raises ConfigError where it is no such URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"grafana_url {url} is no URL.") from error
    if parts.scheme not in ("http", "https") or not host or parts.username:
        raise ConfigError("grafana_url must look like https://grafana.example.com, without user and password.")

    def dial() -> AbstractContextManager[HTTPConnection]:
        if parts.scheme == "http":
            return nullcontext(HTTPConnection(host, port, timeout=timeout))
        import ssl

        context = ssl.create_default_context()
        if not validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return nullcontext(HTTPSConnection(host, port, timeout=timeout, context=context))

    return Grafana(dial, f"Grafana at {url.rstrip('/')}", token, parts.path.rstrip("/"))


def by_port_forward(
    client: Client, namespace: str, pod: str, port: int = DEFAULT_PORT, token: str = "", timeout: float = TIMEOUT
) -> Grafana:
    """Grafana in one pod, through the API server's port-forward."""
    return Grafana(_forward(client, namespace, pod, port, timeout), f"Grafana in Pod {namespace}/{pod}", token)


def proxy_by_port_forward(client: Client, namespace: str, pod: str, port: int, host: str) -> Grafana:
    """What answers Grafana's queries in one pod, asked as Grafana asks it. host: the Host that it gets from there."""
    return Grafana(_forward(client, namespace, pod, port, TIMEOUT), f"Pod {namespace}/{pod}", host=host)


def _forward(
    client: Client, namespace: str, pod: str, port: int, timeout: float
) -> Callable[[], AbstractContextManager[HTTPConnection]]:
    def dial() -> AbstractContextManager[HTTPConnection]:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams

        return streams.port_forward(client, namespace, pod, port, timeout)

    return dial


def container_port(pod: Mapping[str, Any]) -> int:
    """The port on which Grafana listens in this pod: by its usual names, else Grafana's default."""
    ports = [
        port
        for container in pod["spec"]["containers"]
        if container.get("name") != "istio-proxy"
        for port in container.get("ports") or []
    ]
    named = [port["containerPort"] for port in ports if port.get("name") in PORT_NAMES]
    return int(named[0]) if named and DEFAULT_PORT not in named else DEFAULT_PORT
