# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to the API server over the `kubernetes` package's connection pool: raw, counted, with time limits and retries.

The package reads kubeconfigs, tokens, certificates and proxies. Its generated calls are left aside: their signatures
changed in version 37, they retry writes, and building typed APIs costs half a second. The pool beneath
(`ApiClient.rest_client.pool_manager`) and `Configuration.get_api_key_with_prefix()` are the same in versions 29 to 37.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import http, retry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import UnreachableError

USER_AGENT = "meshops.istio_remediation"

Query = Sequence[tuple[str, str]]


class Limits(NamedTuple):
    """Seconds: to connect, between two reads of an answer, and for one request with all its retries."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 60.0


DEFAULT_LIMITS = Limits()


class Response(NamedTuple):
    """headers: by lower-case name. warnings: the texts of the API server's `Warning` headers."""

    status: int
    reason: str
    headers: Mapping[str, str]
    warnings: tuple[str, ...]
    body: bytes


class Transport:
    """Requests to one API server. Usable from several threads."""

    def __init__(
        self,
        api_client: Any,
        headers: Sequence[tuple[str, str]] = (),
        limits: Limits = DEFAULT_LIMITS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """api_client: `kubernetes.client.ApiClient`. headers: sent with every request, such as impersonation's."""
        self.api_client = api_client
        self.limits = limits
        self.requests = 0
        self.bytes = 0
        self._headers = tuple(headers)
        self.sleep = sleep
        # About the connection itself, as sentences.
        self.warnings: list[str] = []
        self._count = threading.Lock()

    @property
    def host(self) -> str:
        """The API server's URL without a trailing slash."""
        return str(self.api_client.configuration.host)

    @property
    def extra_headers(self) -> tuple[tuple[str, str], ...]:
        """What is sent with every request beside the credentials."""
        return self._headers

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.api_client.rest_client.pool_manager.clear()

    def count_request(self) -> None:
        """Count a request that is sent outside of this class, such as a stream's."""
        with self._count:
            self.requests += 1

    def authorization(self) -> dict[str, str]:
        """The credentials' header under its lower-case name; runs the kubeconfig's credential plugin when due."""
        configuration = self.api_client.configuration
        # The package files a token under either name, and version 36 does not find its own under the first.
        for name in ("authorization", "BearerToken"):
            token = configuration.get_api_key_with_prefix(name) if name in configuration.api_key else None
            if token:
                return {"authorization": token}
        basic = self.api_client.default_headers.get("authorization")
        return {"authorization": basic} if basic else {}

    def exchange(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        repeatable: bool = False,
    ) -> Response:
        """Send a request and return whatever status comes back.

        repeatable: asking twice does no harm, so cut connections and 5xx are tried again. 429 always is, for such a
        request was not looked at. Raises UnreachableError.
        """
        deadline = time.monotonic() + self.limits.total
        for attempt in range(retry.TRIES):
            last = attempt == retry.TRIES - 1
            headers: Mapping[str, str] = {}
            response: Response | None = None
            error: UnreachableError | None = None
            try:
                response = self._once(method, path, query, body, content_type)
            except UnreachableError as unreachable:
                error = unreachable
                again = not unreachable.lasting and (repeatable or not unreachable.sent)
            else:
                headers = response.headers
                again = response.status == 429 or (repeatable and response.status in retry.TRANSIENT)
            wait = retry.pause(attempt, headers)
            if again and not last and time.monotonic() + wait < deadline:
                self.sleep(wait)
            elif response is not None:
                return response
            elif error is not None:
                raise error
        raise UnreachableError(self.host, "no attempt was made")

    def _once(self, method: str, path: str, query: Query, body: bytes | None, content_type: str) -> Response:
        import urllib3

        headers = urllib3.HTTPHeaderDict(
            {"accept": "application/json", "user-agent": USER_AGENT, **self.authorization()}
        )
        if body is not None:
            headers["content-type"] = content_type
        for name, value in self._headers:
            headers.add(name, value)
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        timeout = urllib3.Timeout(connect=self.limits.connect, read=self.limits.read)
        self.count_request()
        try:
            answer = self.api_client.rest_client.pool_manager.request(
                method, url, body=body, headers=headers, timeout=timeout, retries=False, redirect=False
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _unreachable(self.host, error, self.limits) from error
        received = {name.lower(): value for name, value in answer.headers.items()}
        if http.is_cut(answer.status, answer.version, received, len(answer.data)):
            raise UnreachableError(self.host, "the answer was cut off", sent=True)
        with self._count:
            self.bytes += len(answer.data)
        return Response(
            status=answer.status,
            reason=answer.reason or "",
            headers=received,
            warnings=tuple(map(_warning_text, answer.headers.getlist("warning"))),
            body=answer.data,
        )


def _warning_text(header: str) -> str:
    """The text of `299 - "text"` (RFC 7234 section 5.5)."""
    text = header.split(" ", 2)[-1].strip()
    return text[1:-1].replace('\\"', '"') if text.startswith('"') and text.endswith('"') else text


def _unreachable(host: str, error: Exception, limits: Limits) -> UnreachableError:
    """The cause in a person's words. urllib3's own texts begin with the repr of a connection object."""
    from urllib3 import exceptions

    if isinstance(error, exceptions.ProxyError):
        return UnreachableError(host, f"the proxy failed: {_root_cause(error)}")
    if isinstance(error, exceptions.ReadTimeoutError):
        return UnreachableError(host, f"no answer within {limits.read:g} seconds", sent=True)
    if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        return UnreachableError(host, f"no connection within {limits.connect:g} seconds")
    if isinstance(error, exceptions.SSLError):
        return UnreachableError(
            host, f"TLS failed: {_root_cause(error)}; check ca_cert, client_cert and validate_certs", lasting=True
        )
    if isinstance(error, exceptions.NewConnectionError):
        return UnreachableError(host, _root_cause(error))
    if isinstance(error, exceptions.LocationValueError):
        return UnreachableError(host, "this is no URL of an API server", lasting=True)
    if isinstance(error, exceptions.HTTPError):
        return UnreachableError(host, f"the connection broke: {_root_cause(error)}", sent=True)
    if isinstance(error, OSError):
        return UnreachableError(host, _root_cause(error))
    # http.client refuses a header with line breaks and quotes its value, which is a credential: not repeated here.
    return UnreachableError(host, "the request cannot be sent; check the credentials for line breaks", lasting=True)


def _root_cause(error: BaseException) -> str:
    """The innermost cause's own words."""
    while True:
        inner = error.__cause__ or next((arg for arg in reversed(error.args) if isinstance(arg, BaseException)), None)
        if inner is None or inner is error:
            break
        error = inner
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().rstrip(".")
