# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from kubernetes.stream import ws_client

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import retry, streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    AuthError,
    ForbiddenError,
    UnreachableError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.grafana import (
    Grafana,
    GrafanaError,
    by_port_forward,
    by_url,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Answer, ApiServer, status
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import TOKEN, make_client

HELP = ("/bin/prom-label-proxy", "-help")


@pytest.fixture
def grafana_port() -> Iterator[int]:
    """A web server that tells the path and the credentials that it was given."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            """Stay silent."""

        def __getattr__(self, name: str) -> object:
            if name == "do_GET":
                return self.answer
            raise AttributeError(name)

        def answer(self) -> None:
            code = {"/api/denied": 403, "/api/broken": 503}.get(self.path, 200)
            body = b"[1, 2" if self.path == "/api/cut" else f'{{"path": "{self.path}"}}'.encode()
            self.send_response(code)
            self.send_header("X-Authorization", self.headers.get("Authorization", ""))
            self.end_headers()
            self.wfile.write(body)

    listener = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield listener.server_address[1]
    listener.shutdown()
    listener.server_close()
    thread.join()


@pytest.fixture(params=["url", "port-forward"])
def grafana(request: pytest.FixtureRequest, server: ApiServer, client: Client, grafana_port: int) -> Grafana:
    if request.param == "url":
        return by_url(f"http://127.0.0.1:{grafana_port}", "glsa_x", timeout=2)
    server.forwards["a", "grafana-0", 3000] = ("127.0.0.1", grafana_port)
    return by_port_forward(client, "a", "grafana-0", 3000, "glsa_x", timeout=2)


def test_exec_keeps_both_outputs_apart(server: ApiServer, client: Client) -> None:
    server.commands[HELP] = ("out " * 30000, "Usage of prom-label-proxy", 2)
    output = streams.execute(client, "a", "p", "c", HELP, timeout=3)
    assert output.stdout == "out " * 30000
    assert output.stderr == "Usage of prom-label-proxy"
    assert output.code == 2
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert server.requests[0].query["container"] == "c"
    assert client.requests == 1


def test_exec_that_succeeds(server: ApiServer, client: Client) -> None:
    server.commands[HELP] = ("", "", 0)
    assert streams.execute(client, "a", "p", "c", HELP, timeout=3) == streams.Output("", "", 0)


def test_exec_without_the_right(server: ApiServer, client: Client) -> None:
    server.forbid("GET", "exec")
    with pytest.raises(ForbiddenError, match=r"^Not allowed to exec Pod a/p: exec is forbidden: User \"tester\""):
        streams.execute(client, "a", "p", "c", HELP, timeout=3)


def test_exec_with_unknown_credentials(server: ApiServer, client: Client) -> None:
    server.faults.append(lambda _request: Answer(401, status(401, "Unauthorized", "Unauthorized")))
    with pytest.raises(AuthError):
        streams.execute(client, "a", "p", "c", HELP, timeout=3)


def test_streams_refuse_to_drop_impersonation(server: ApiServer) -> None:
    client = make_client(server, impersonate_user="jane")
    with pytest.raises(ForbiddenError, match="does not carry impersonate_user over to streams"):
        streams.execute(client, "a", "p", "c", HELP, timeout=3)
    assert server.requests == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_refused_handshake_is_asked_again(server: ApiServer, client: Client, code: int) -> None:
    server.commands[HELP] = ("usage", "", 0)
    server.once(Answer(code, status(code, "Busy", "come back later"), (("Retry-After", "3"),)))
    waited: list[float] = []
    client.transport.sleep = waited.append
    assert streams.execute(client, "a", "p", "c", HELP, timeout=3).stdout == "usage"
    assert (waited, client.requests) == ([3.0], 2)


def test_a_lasting_refusal_ends_in_the_servers_own_words(server: ApiServer, client: Client) -> None:
    server.faults.append(lambda _request: Answer(503, status(503, "Busy", "shutting down")))
    with pytest.raises(ApiError, match="refused to exec Pod a/p: 503 shutting down"):
        streams.execute(client, "a", "p", "c", HELP, timeout=3)
    assert client.requests == retry.TRIES


def test_a_wait_beyond_the_limit_is_not_begun(server: ApiServer, client: Client) -> None:
    server.once(Answer(429, status(429, "Busy", "slow down"), (("Retry-After", "3600"),)))
    with pytest.raises(ApiError, match="429 slow down"):
        streams.execute(client, "a", "p", "c", HELP, timeout=3)
    assert client.requests == 1


def test_stream_to_nowhere() -> None:
    server = ApiServer()
    server.url = "http://127.0.0.1:1"
    with pytest.raises(UnreachableError, match=r"exec on Pod a/p failed: .*refused"):
        streams.execute(make_client(server), "a", "p", "c", HELP, timeout=3)


def test_each_request_to_grafana_is_answered(grafana: Grafana) -> None:
    for _time in range(2):
        reply = grafana.get("/api/health?x=1")
        assert (reply.status, reply.text) == (200, '{"path": "/api/health?x=1"}')
        assert reply.headers["x-authorization"] == "Bearer glsa_x"
    assert grafana.json("/api/health") == {"path": "/api/health"}


def test_bodies_are_cut_at_the_limit(grafana: Grafana) -> None:
    reply = grafana.get("/api/health", limit=8)
    assert (reply.body, reply.truncated) == (b'{"path":', True)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/denied", r"refuses GET /api/denied \(403\); check grafana_token"),
        ("/api/broken", "answers GET /api/broken with status 503"),
        ("/api/cut", "answers GET /api/cut with something that is no JSON"),
    ],
)
def test_grafanas_refusals_are_one_sentence(grafana: Grafana, path: str, sentence: str) -> None:
    with pytest.raises(GrafanaError, match=sentence):
        grafana.json(path)


@pytest.mark.usefixtures("server")
def test_a_port_on_which_nothing_listens(client: Client) -> None:
    with pytest.raises(UnreachableError, match=r"Cannot reach port 3000 of Pod a/p: .*connection refused"):
        by_port_forward(client, "a", "p", 3000, timeout=2).get("/api/health")


def test_forwards_that_are_opened_at_once_know_their_own_threads(
    server: ApiServer, client: Client, grafana_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.forwards["a", "p", 3000] = ("127.0.0.1", grafana_port)
    opens, releases, released = ws_client.portforward_call, streams._release, []

    def slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.02)
        return opens(*arguments, **options)

    def release(forward: Any, relays: set[Thread]) -> None:
        released.append(len(relays))
        releases(forward, relays)

    monkeypatch.setattr(ws_client, "portforward_call", slowly)
    monkeypatch.setattr(streams, "_release", release)
    grafana = by_port_forward(client, "a", "p", 3000, timeout=5)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(grafana.get, ["/api/health"] * 8))
    assert [answer.status for answer in answers] == [200] * 8
    assert released == [1] * 8


def test_grafana_is_not_there() -> None:
    with pytest.raises(UnreachableError, match=r"^Cannot reach Grafana at http://127.0.0.1:1: Connection refused\.$"):
        by_url("http://127.0.0.1:1").get("/api/health")


def test_a_path_prefix_is_kept(grafana_port: int) -> None:
    assert by_url(f"http://127.0.0.1:{grafana_port}/sub/").json("/api/x") == {"path": "/sub/api/x"}
