# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sidecar says about requests where it writes no access log: the debug lines of two of Envoy's loggers.

Measured on Envoy 1.40, one request through two sidecars (older releases write `[C1][S2]` in the place of `[Tags: …]`):

    router      [Tags: "ConnectionId":"1","StreamId":"7"] cluster 'outbound|9090||…' match for URL '/api/v1/query?…'
    router      [Tags: "ConnectionId":"1","StreamId":"7"] router decoding headers:    (one header per line follows)
    connection  [Tags: "ConnectionId":"2"] connecting to 10.9.1.6:9090
    router      [Tags: "ConnectionId":"1","StreamId":"7"] pool ready
    router      Attached upstream connection [C2] to downstream connection [C1]

They hold every header of every request, credentials too. parse() keeps four things: the path, the authority, the
request id, and the certificate of the peer that a server's sidecar has verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import access_log
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record

LOGGERS = ("router", "connection")
LEVEL = "debug"
_SPEAKS = ("trace", LEVEL)
_LISTED = re.compile(r"^\s*(\w+): (trace|debug|info|warning|error|critical|off)\s*$", re.MULTILINE)

# application_log_config in Istio's envoy_bootstrap.json: `time \t level \t envoy LOGGER FILE:LINE \t text \t thread=N`,
# in older releases without place and thread; with logAsJson an object.
_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+Z)\t\w+\tenvoy (\w+)[^\t]*\t(.*)$")
_THREAD = re.compile(r"\tthread=\d+$")
_TAGS = re.compile(r'^(?:\[Tags: "ConnectionId":"(\d+)"(?:,"StreamId":"(\d+)")?\]|\[C(\d+)\](?:\[S(\d+)\])?) ?')
_ROUTED = re.compile(r"cluster '([^']*)' match for URL '(.*)'")
_ATTACHED = re.compile(r"Attached upstream connection \[C(\d+)\] to downstream connection \[C(\d+)\]")
_CONNECTING = re.compile(r"connecting to (\S+)")
_HEADERS = "router decoding headers:"
_HEADER = re.compile(r"^'([^']+)', '(.*)'$")
_KEPT = frozenset({":authority", "x-request-id", "x-forwarded-client-cert"})
_SPIFFE = "spiffe://"


class _Message(NamedTuple):
    """One message. connection, stream: Envoy's numbers of them, "" where it names none. headers: those of _KEPT.

    text: without what precedes it; of a message with headers its first line alone.
    """

    time: str
    logger: str
    connection: str
    stream: str
    text: str
    headers: dict[str, str]


class _Request(NamedTuple):
    """A request as far as it was told. upstream: Envoy's number of the connection that carried it on."""

    time: str = ""
    cluster: str = ""
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    upstream: str = ""


def levels(listing: str) -> dict[str, str]:
    """The levels of LOGGERS in what Envoy answers to `POST /logging`; a logger that it does not list is missing."""
    found = dict(_LISTED.findall(listing))
    return {logger: found[logger] for logger in LOGGERS if logger in found}


def silent(found: dict[str, str]) -> dict[str, str]:
    """Those of levels() at which parse() would find nothing."""
    return {logger: level for logger, level in found.items() if level not in _SPEAKS}


def setting(wanted: dict[str, str]) -> str:
    """Levels as the parameter `paths` of Envoy's `POST /logging` takes them."""
    return ",".join(f"{logger}:{level}" for logger, level in wanted.items())


def parse(text: str) -> tuple[Record, ...]:
    """The requests in a sidecar's log, in the order in which they were routed.

    A Record from here has a `peer`. It has no code and no address of a client; `upstream_host` and `upstream_local` are
    known where the connection was opened within the log, and the latter is Envoy's number of it, such as `C12`.
    What cut or foreign lines leave open stays "".
    """
    requests: dict[tuple[str, str], _Request] = {}
    opened: dict[str, str] = {}
    ready: dict[str, tuple[str, str]] = {}
    for message in _messages(text):
        key = message.connection, message.stream
        if message.logger == "connection":
            if connecting := _CONNECTING.fullmatch(message.text):
                opened[message.connection] = connecting[1]
        elif attached := _ATTACHED.fullmatch(message.text):
            # Follows on "pool ready" at once, and does not name the stream.
            if (carried := ready.pop(attached[2], None)) in requests:
                requests[carried] = requests[carried]._replace(upstream=attached[1])
        elif not message.stream:
            continue
        elif routed := _ROUTED.fullmatch(message.text):
            requests[key] = _Request(message.time, routed[1], routed[2])
        elif key in requests and message.text == _HEADERS:
            requests[key] = requests[key]._replace(headers=tuple(message.headers.items()))
        elif message.text == "pool ready":
            ready[message.connection] = key
    return tuple(_record(request, opened) for request in requests.values())


def _record(request: _Request, opened: dict[str, str]) -> Record:
    headers = dict(request.headers)
    inbound = request.cluster.startswith("inbound|")
    return Record(
        time=request.time,
        code="",
        flags="",
        details="",
        route="",
        cluster=request.cluster,
        authority=headers.get(":authority", ""),
        path=request.path,
        request_id=headers.get("x-request-id", ""),
        upstream_host=opened.get(request.upstream, ""),
        upstream_local=f"C{request.upstream}" if request.upstream in opened else "",
        downstream_local="",
        downstream_remote="",
        server_name="",
        line="",
        # What a client's program sends under this name says nothing; the server's sidecar replaces it.
        peer=_verified(headers.get("x-forwarded-client-cert", "")) if inbound else "",
    )


def _verified(header: str) -> str:
    """The client of this very connection: the last element of x-forwarded-client-cert.

    Envoy appends it for a connection with a client certificate and removes the header from any other
    (source/common/http/conn_manager_utility.cc, mutateXfccRequestHeader). Istio's inbound listeners have APPEND_FORWARD
    unless proxyHeaders.forwardedClientCert says otherwise (pilot/pkg/networking/util/proxy_headers.go). `By` is the
    server's own name, `URI` the client's.
    """
    fields = dict(field.partition("=")[::2] for field in header.rpartition(",")[2].split(";"))
    client = fields.get("URI", "")
    both = client.startswith(_SPIFFE) and fields.get("By", "").startswith(_SPIFFE)
    return client if both and fields.get("Hash") else ""


def _messages(text: str) -> Iterator[_Message]:
    lines = text.splitlines()
    for number, line in enumerate(lines):
        told = _json(line) if line.startswith("{") else _text(line)
        if told is None or told.logger not in LOGGERS:
            continue
        first, *more = told.text.split("\n")
        tags = _TAGS.match(first)
        connection, stream = (tags[1] or tags[3], tags[2] or tags[4] or "") if tags else ("", "")
        said = first[tags.end() :] if tags else first
        headers = _headers(more or islice(lines, number + 1, None)) if said == _HEADERS else {}
        yield told._replace(connection=connection, stream=stream, text=said, headers=headers)


def _text(line: str) -> _Message | None:
    found = _LINE.match(line)
    return _Message(found[1], found[2], "", "", _THREAD.sub("", found[3]), {}) if found else None


def _json(line: str) -> _Message | None:
    decoded = access_log.json_object(line) or {}
    time, scope, message = (decoded.get(key) for key in ("time", "scope", "msg"))
    if not (isinstance(time, str) and isinstance(scope, str) and isinstance(message, str)):
        return None
    return _Message(time, scope.rpartition(" ")[2], "", "", message, {})


def _headers(lines: Iterable[str]) -> dict[str, str]:
    """Those of _KEPT, up to the first line that is no header."""
    found = takewhile(bool, map(_HEADER.match, lines))
    return {header[1]: header[2] for header in found if header and header[1] in _KEPT}
