# SPDX-License-Identifier: GPL-3.0-or-later
"""exec and port-forward: the verbs that the API server answers with a WebSocket.

The `kubernetes` package sends no header but the credentials on a stream, so an impersonated user would become the real
one unnoticed; that is refused.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from typing import Any, NamedTuple, TypeVar

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import kinds, retry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    UnreachableError,
    api_error,
)

T = TypeVar("T")

# Seconds that both ends of a port-forward get to say goodbye.
_GOODBYE = 1.0
# Seconds for which a running command is listened to before it is looked whether it still runs.
_LISTENED = 0.5
_STDOUT, _STDERR, _ERROR = 1, 2, 3
_OPENING = threading.Lock()


class Output(NamedTuple):
    """What a command printed and its exit code; code is None where the container runtime could not start it."""

    stdout: str
    stderr: str
    code: int | None
    message: str = ""


def execute(client: Client, namespace: str, pod: str, container: str, command: Sequence[str], timeout: float) -> Output:
    """Run a command in a container and wait until it ends.

    Raises UnreachableError (also after `timeout` seconds), AuthError and the ApiError of a refused handshake.
    """
    stream = _exec(client, namespace, pod, container, command, "false")
    where = f"container {container} of Pod {namespace}/{pod}"
    try:
        return _ended(stream, where, timeout)
    finally:
        _close(stream)


class Running:
    """A command in a container that reads its standard input. It gets an end of file when this side is gone."""

    def __init__(self, stream: Any, where: str) -> None:
        self._stream, self._where = stream, where

    def hear(self, text: str, timeout: float) -> None:
        """Wait until it has printed `text`. Raises UnreachableError where that does not come."""
        deadline = time.monotonic() + timeout
        while text not in self._guarded(lambda: self._stream.peek_channel(_STDOUT, timeout=_LISTENED)):
            if not self._stream.is_open():
                code, message = _exit_code(self._stream.read_channel(_ERROR))
                said = self._stream.peek_channel(_STDERR).strip().rpartition("\n")[2] or message
                raise UnreachableError(self._where, f"the command ended at once: {said or f'exit code {code}'}")
            if time.monotonic() > deadline:
                raise UnreachableError(self._where, f"the command did not begin within {timeout:g} seconds", sent=True)

    def end(self, timeout: float) -> Output:
        """Send it an empty line and wait for its end. Raises UnreachableError, and has hung up then."""
        try:
            if self._stream.is_open():
                self._guarded(lambda: self._stream.write_stdin("\n"))
            return _ended(self._stream, self._where, timeout)
        except UnreachableError:
            _close(self._stream)
            raise

    def _guarded(self, call: Callable[[], T]) -> T:
        from websocket import WebSocketException

        try:
            return call()
        except (WebSocketException, OSError) as error:
            raise UnreachableError(self._where, f"the stream broke: {error}", sent=True) from error


@contextmanager
def running(client: Client, namespace: str, pod: str, container: str, command: Sequence[str]) -> Iterator[Running]:
    """Start a command in a container and leave it running until the block ends. Raises like `execute`."""
    stream = _exec(client, namespace, pod, container, command, "true")
    try:
        yield Running(stream, f"container {container} of Pod {namespace}/{pod}")
    finally:
        _close(stream)


def _exec(client: Client, namespace: str, pod: str, container: str, command: Sequence[str], stdin: str) -> Any:
    from kubernetes.stream import ws_client

    query = [("command", word) for word in command]
    query += [("container", container), ("stdout", "true"), ("stderr", "true"), ("stdin", stdin), ("tty", "false")]

    def call(configuration: Any, url: str, headers: dict[str, str]) -> Any:
        return ws_client.websocket_call(
            configuration, "GET", url, query_params=query, headers=headers, _preload_content=False, capture_all=False
        )

    return _open(client, "exec", namespace, pod, call)


def _ended(stream: Any, where: str, timeout: float) -> Output:
    _until_closed(stream, where, timeout)
    stdout, stderr = stream.read_channel(_STDOUT), stream.read_channel(_STDERR)
    code, message = _exit_code(stream.read_channel(_ERROR))
    return Output(stdout, stderr, code, message)


def _close(stream: Any) -> None:
    stream.close()
    # close() leaves the socket open where the other side closed first.
    stream.sock.shutdown()


@contextmanager
def port_forward(client: Client, namespace: str, pod: str, port: int, timeout: float) -> Iterator[HTTPConnection]:
    """A connection to 127.0.0.1:port inside a pod, new for each use, past the sidecar's inbound mTLS.

    timeout: seconds for each read. Raises like `execute`; what fails on the connection itself is the HTTP client's
    error, but for a refused port, which is an UnreachableError.
    """
    from kubernetes.stream import ws_client

    def call(configuration: Any, url: str, headers: dict[str, str]) -> tuple[Any, set[threading.Thread]]:
        # One after the other, or those of another one, which may not even have started, would be taken for ours.
        with _OPENING:
            others = _relays()
            forward = ws_client.portforward_call(
                configuration, "GET", url, query_params=[("ports", str(port))], headers=headers
            )
            return forward, _relays() - others

    forward, relays = _open(client, "portforward", namespace, pod, call)
    connection = _ForwardedConnection(forward.socket(port), port, timeout)
    where = f"port {port} of Pod {namespace}/{pod}"
    try:
        yield connection
    except UnreachableError as error:
        # The kubelet's own words are better than "closed without response".
        said = (forward.error(port) or "").strip().rstrip(".")
        raise (UnreachableError(where, said, error.sent) if said else error) from error
    finally:
        connection.close()
        forward.close()
        _release(forward, relays)


class _ForwardedConnection(HTTPConnection):
    """Speaks HTTP on a socket that exists already."""

    def __init__(self, stream: Any, port: int, timeout: float) -> None:
        super().__init__("localhost", port, timeout=timeout)
        self._stream = stream

    def connect(self) -> None:
        """Take the forwarded socket in the place of a new one."""
        self._stream.settimeout(self.timeout)
        self.sock = self._stream


def _relays() -> set[threading.Thread]:
    """The threads in which the package passes data on between a forwarded socket and its WebSocket."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("Kubernetes port forward proxy")}


def _release(forward: Any, relays: set[threading.Thread]) -> None:
    """Close the WebSocket, which the package leaves open where the other side closed first.

    Only when nobody uses it any more: it says that it is not connected before it sends its own goodbye.
    """
    deadline = time.monotonic() + _GOODBYE
    for relay in relays:
        relay.join(max(0.0, deadline - time.monotonic()))
    if not any(relay.is_alive() for relay in relays):
        forward.websocket.shutdown()


def _open(client: Client, verb: str, namespace: str, pod: str, call: Callable[[Any, str, dict[str, str]], Any]) -> Any:
    from kubernetes.client import ApiException

    transport = client.transport
    if transport.extra_headers:
        message = "the kubernetes package does not carry impersonate_user over to streams"
        raise ForbiddenError(verb, "Pod", namespace, pod, 0, "", message)
    path = kinds.path(kinds.RESOURCES["Pod"], "v1", namespace, pod, verb)
    deadline = time.monotonic() + transport.limits.total
    for attempt in range(retry.TRIES):
        transport.count_request()
        configuration, url, headers = (
            transport.api_client.configuration,
            transport.host + path,
            transport.authorization(),
        )
        try:
            return _within(transport.limits.connect + transport.limits.read, partial(call, configuration, url, headers))
        except TimeoutError as error:
            raise UnreachableError(transport.host, f"no answer to {verb} on Pod {namespace}/{pod}") from error
        except ApiException as error:
            refusal = _refused(client, verb, namespace, pod, str(error.reason))
            # A refused handshake has begun nothing, so asking again does no harm.
            passes = isinstance(refusal, ApiError) and refusal.status in retry.TRANSIENT
            wait = retry.pause(attempt, _headers(error))
            if not passes or attempt == retry.TRIES - 1 or time.monotonic() + wait > deadline:
                raise refusal from error
            transport.sleep(wait)
    raise UnreachableError(transport.host, "no attempt was made")


def _headers(error: Exception) -> Mapping[str, str]:
    """The headers of a refused handshake, which websocket-client's error carries; none of anything else."""
    found = getattr(error.__context__, "resp_headers", None) or {}
    return {str(name).lower(): str(value) for name, value in found.items()}


def _refused(client: Client, verb: str, namespace: str, pod: str, reason: str) -> Exception:
    """The error behind a failed handshake, which websocket-client tells as text."""
    handshake = re.search(r"Handshake status (\d{3})", reason)
    if not handshake:
        return UnreachableError(client.host, f"{verb} on Pod {namespace}/{pod} failed: {reason.strip().rstrip('.')}")
    status = int(handshake[1])
    said = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', reason)
    # Some versions quote the body as Python bytes, with every backslash doubled.
    message = said[1].replace("\\", "") if said else ""
    if status == 401:
        return AuthError(client.host, "" if message == "Unauthorized" else message)
    return api_error(verb, "Pod", namespace, pod, status, "", message)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Run `call` with a time limit: the package opens a WebSocket without one. Raises TimeoutError."""
    from kubernetes.client import ApiException

    results: list[T] = []
    errors: list[ApiException] = []

    def run() -> None:
        try:
            results.append(call())
        except ApiException as error:
            # The package turns everything that fails on a WebSocket into this one.
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


def _until_closed(stream: Any, where: str, timeout: float) -> None:
    from websocket import WebSocketException

    try:
        stream.run_forever(timeout=timeout)
    except (WebSocketException, OSError) as error:
        raise UnreachableError(where, f"the stream broke: {error}", sent=True) from error
    if stream.is_open():
        raise UnreachableError(where, f"the command did not end within {timeout:g} seconds", sent=True)


def _exit_code(status_text: str) -> tuple[int | None, str]:
    """Exit code and message of the `Status` object that ends an exec stream.

    https://github.com/kubernetes/kubernetes/blob/v1.31.0/staging/src/k8s.io/apimachinery/pkg/util/remotecommand: reason
    NonZeroExitCode carries a cause of type ExitCode.
    """
    try:
        status = json.loads(status_text or "{}")
    except ValueError:
        return None, status_text.strip()
    if status.get("status") == "Success":
        return 0, ""
    causes = (status.get("details") or {}).get("causes") or []
    codes = [cause.get("message", "") for cause in causes if cause.get("reason") == "ExitCode"]
    return (int(codes[0]) if codes and codes[0].isdigit() else None), str(status.get("message", ""))
