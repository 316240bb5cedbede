# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's two streams, exec and port-forward, over a WebSocket (RFC 6455), for the API server of the tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import IO

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING = 2, 8, 9


def accept(handler: BaseHTTPRequestHandler) -> None:
    """Answer the handshake."""
    key = handler.headers["Sec-WebSocket-Key"]
    digest = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    handler.send_response(101, "Switching Protocols")
    handler.send_header("Upgrade", "websocket")
    handler.send_header("Connection", "Upgrade")
    handler.send_header("Sec-WebSocket-Accept", digest)
    handler.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
    handler.end_headers()
    handler.wfile.flush()
    handler.close_connection = True


def send(handler: BaseHTTPRequestHandler, payload: bytes, opcode: int = _BINARY) -> None:
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    handler.wfile.write(head + payload)
    handler.wfile.flush()


def receive(handler: BaseHTTPRequestHandler) -> bytes | None:
    """The next message's payload, or None when the client closes."""
    while True:
        head = handler.rfile.read(2)
        if len(head) < 2:
            return None
        opcode, size = head[0] & 0x0F, head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", handler.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", handler.rfile.read(8))[0]
        mask = handler.rfile.read(4)
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(handler.rfile.read(size)))
        if opcode == _CLOSE:
            return None
        if opcode != _PING:
            return payload


def close(handler: BaseHTTPRequestHandler) -> None:
    send(handler, struct.pack("!H", 1000), _CLOSE)


def run_command(handler: BaseHTTPRequestHandler, stdout: str, stderr: str, code: int) -> None:
    """Play an exec stream to its end."""
    accept(handler)
    for channel, text in ((1, stdout), (2, stderr)):
        if text:
            send(handler, bytes([channel]) + text.encode())
    _send_status(handler, code)


def run_process(handler: BaseHTTPRequestHandler, command: Sequence[str], environment: dict[str, str]) -> None:
    """Run a command as a kubelet does: it gets what the client writes, an end of file when that hangs up, no signal."""
    accept(handler)
    pipe = subprocess.PIPE
    try:
        started = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
    except FileNotFoundError:
        send(
            handler, b"\x03" + json.dumps({"status": "Failure", "message": f'exec: "{command[0]}": not found'}).encode()
        )
        close(handler)
        return
    with started as process:
        stdin, outputs = process.stdin, ((1, process.stdout), (2, process.stderr))

        def feed() -> None:
            with contextlib.suppress(OSError), stdin:
                while payload := receive(handler):
                    stdin.write(payload[1:])

        def drain(channel: int, output: IO[bytes]) -> None:
            with contextlib.suppress(OSError):
                while data := output.read(65536):
                    send(handler, bytes([channel]) + data)

        threading.Thread(target=feed, daemon=True).start()
        readers = [threading.Thread(target=drain, args=each) for each in outputs]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        code = process.wait()
    with contextlib.suppress(OSError):
        _send_status(handler, code)


def _send_status(handler: BaseHTTPRequestHandler, code: int) -> None:
    status: dict[str, object] = {"kind": "Status", "status": "Success"}
    if code:
        causes = [{"reason": "ExitCode", "message": str(code)}]
        status = {"kind": "Status", "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        status["message"] = f"command terminated with non-zero exit code: {code}"
    send(handler, b"\x03" + json.dumps(status).encode())
    close(handler)


def forward(handler: BaseHTTPRequestHandler, port: int, target: tuple[str, int] | None) -> None:
    """Relay between the stream and `target`; None is a port on which nothing listens."""
    accept(handler)
    number = struct.pack("<H", port)
    send(handler, b"\x00" + number)
    send(handler, b"\x01" + number)
    if target is None:
        text = f"an error occurred forwarding {port}: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        send(handler, b"\x01" + text.encode())
        receive(handler)
        return
    upstream = socket.create_connection(target)

    def pump() -> None:
        # Either side may hang up first.
        with contextlib.suppress(OSError):
            while data := upstream.recv(65536):
                send(handler, b"\x00" + data)
            close(handler)

    reader = threading.Thread(target=pump, daemon=True)
    reader.start()
    while (payload := receive(handler)) is not None:
        if payload[:1] == b"\x00":
            with contextlib.suppress(OSError):
                upstream.sendall(payload[1:])
    with contextlib.suppress(OSError):
        upstream.shutdown(socket.SHUT_RDWR)
    reader.join()
    upstream.close()
