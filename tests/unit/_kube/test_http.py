# SPDX-License-Identifier: GPL-3.0-or-later
"""Half an answer is never taken for a whole one."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from threading import Thread

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.http import Reply, request

BODY = b'{"status":"success"}'
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + BODY
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + BODY + b"\r\n0\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\n" + BODY


def asked(sent: bytes, limit: int = 1000) -> Reply:
    """What becomes of a request to a server that sends these bytes and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _address = listener.accept()
            with accepted:
                accepted.recv(4096)
                accepted.sendall(sent)

        server = Thread(target=serve)
        server.start()
        try:
            return request(HTTPConnection(*listener.getsockname(), timeout=5), "a server", "GET", "/", {}, limit)
        finally:
            server.join()


@pytest.mark.parametrize("sent", [LENGTH, CHUNKS, UNTIL_CLOSED], ids=["length", "chunks", "until closed"])
def test_a_whole_answer_is_read(sent: bytes) -> None:
    reply = asked(sent)
    assert (reply.status, reply.body, reply.truncated) == (200, BODY, False)


@pytest.mark.parametrize("sent", [LENGTH, CHUNKS], ids=["length", "chunks"])
def test_an_answer_that_is_cut_anywhere_is_none(sent: bytes) -> None:
    for end in range(len(sent) - len(b"0\r\n\r\n" if sent is CHUNKS else b"")):
        with pytest.raises(UnreachableError):
            asked(sent[:end])


def test_nothing_more_than_the_limit_is_read() -> None:
    reply = asked(LENGTH, limit=5)
    assert (reply.body, reply.truncated) == (BODY[:5], True)


def test_an_answer_without_content_needs_no_length() -> None:
    assert asked(b"HTTP/1.1 204 No Content\r\n\r\n").status == 204
