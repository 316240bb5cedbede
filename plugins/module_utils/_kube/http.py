# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP/1.1 request on one new connection, to anything that is no API server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import UnreachableError


class Reply(NamedTuple):
    """headers: by lower-case name. truncated: the body was longer than what was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


def request(
    connection: HTTPConnection,
    where: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    limit: int,
    ready: Callable[[], None] = lambda: None,
) -> Reply:
    """Send one request, read at most `limit` bytes of the answer's body and close. Raises UnreachableError.

    ready: called between connecting and sending.
    """
    try:
        connection.connect()
        ready()
        connection.request(method, path, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(limit + 1)
    except TimeoutError as error:
        raise UnreachableError(where, f"no answer within {connection.timeout:g} seconds", sent=True) from error
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(where, why.rstrip("."), sent=True) from error
    except ValueError as error:
        # http.client quotes the header that it refuses; the only one that a user gives is a token.
        raise UnreachableError(where, "the request cannot be sent; check the token for line breaks") from error
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    if len(body) <= limit and is_cut(answer.status, answer.version, found, len(body)):
        raise UnreachableError(where, "the answer was cut off", sent=True)
    return Reply(answer.status, found, body[:limit], len(body) > limit)


def is_cut(status: int, version: int, headers: Mapping[str, str], size: int) -> bool:
    """Whether more of an answer was to come than these bytes of its body.

    version: 10 for HTTP/1.0, 11 for HTTP/1.1. headers: by lower-case name. http.client, also beneath urllib3, notices
    only of an answer in chunks that it was cut.
    """
    if status in (204, 304) or "chunked" in headers.get("transfer-encoding", ""):
        return False
    announced = headers.get("content-length", "")
    if announced.isdigit():
        return size != int(announced)
    # Only HTTP/1.0 leaves the length to the connection's end; headers that were cut off look so, too.
    return version > 10
