# SPDX-License-Identifier: GPL-3.0-or-later
"""A raised log level comes down again, whatever becomes of the run: the shell in the sidecar is a real one here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from world import NS

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import log_level
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, Request
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import FOUND, Sidecar

RAISED = {**FOUND, "connection": "debug", "router": "debug"}


@pytest.fixture
def sidecar(tmp_path: Path, server: ApiServer) -> Sidecar:
    return place(server, "p", Sidecar(tmp_path / "p"))


def place(server: ApiServer, name: str, sidecar: Sidecar) -> Sidecar:
    server.programs[name] = sidecar.environment
    return sidecar


def a_pod(name: str = "p") -> Pod:
    return pod({"metadata": {"namespace": NS, "name": name}, "spec": {"containers": [{"name": "istio-proxy"}]}})


def test_the_very_levels_that_were_found_are_put_back(client: Client, sidecar: Sidecar) -> None:
    with log_level.raised(client, [a_pod()]) as levels:
        assert sidecar.levels == RAISED
    assert sidecar.levels == FOUND
    assert levels == [
        log_level.Level(
            f"{NS}/p", "router:warning,connection:info", "router:debug,connection:debug", put_back=True, problem=""
        )
    ]
    assert client.warnings == []


def test_they_are_put_back_where_the_probe_fails(client: Client, sidecar: Sidecar) -> None:
    with pytest.raises(UnreachableError), log_level.raised(client, [a_pod()]):
        raise UnreachableError("Grafana", "no answer")
    assert sidecar.levels == FOUND


def test_what_is_raised_already_is_left_as_it_is(client: Client, server: ApiServer, tmp_path: Path) -> None:
    found = {**FOUND, "router": "trace", "connection": "debug"}
    loud = place(server, "loud", Sidecar(tmp_path / "loud", found))
    half = place(server, "half", Sidecar(tmp_path / "half", {**FOUND, "router": "debug"}))
    with log_level.raised(client, [a_pod("loud"), a_pod("half")]) as levels:
        assert half.levels == {**FOUND, "router": "debug", "connection": "debug"}
    assert loud.calls == ["logging"]
    assert half.levels == {**FOUND, "router": "debug"}
    assert [level.raised for level in levels] == ["", "connection:debug"]
    assert log_level.unheard(levels) == {f"{NS}/loud": "", f"{NS}/half": ""}


def test_without_a_shell_nothing_is_raised(client: Client, server: ApiServer, tmp_path: Path) -> None:
    distroless = place(server, "p", Sidecar(tmp_path / "p", shell=False))
    with log_level.raised(client, [a_pod()]) as levels:
        pass
    assert set(distroless.calls) == {"logging"}
    assert levels[0].put_back is True
    assert "the log level of its sidecar was not raised" in levels[0].problem
    assert 'exec: "sh": not found' in levels[0].problem
    assert log_level.unheard(levels) == {f"{NS}/p": levels[0].problem}


def test_one_sidecar_that_cannot_be_asked_does_not_keep_the_others_from_it(
    client: Client, server: ApiServer, sidecar: Sidecar, tmp_path: Path
) -> None:
    place(server, "other", Sidecar(tmp_path / "other", {"fine_grain.cc": "info"}))
    with log_level.raised(client, [a_pod("gone"), a_pod("other"), a_pod()]) as levels:
        assert sidecar.levels == RAISED
    assert [bool(level.problem) for level in levels] == [True, True, False]
    assert "does not list the logger router and connection" in levels[1].problem
    assert sidecar.levels == FOUND


def test_a_broken_stream_is_enough_for_the_sidecar(client: Client, sidecar: Sidecar) -> None:
    """No goodbye, as when the machine of the run is gone."""
    command = ("sh", "-c", log_level._SCRIPT, "sh", "router:debug", "router:warning", "60", log_level.HELD)
    with streams.running(client, NS, "p", "istio-proxy", command) as running:
        running.hear(log_level.HELD, 5)
        assert sidecar.levels["router"] == "debug"
        running._stream.sock.sock.close()
        assert sidecar.comes_to(FOUND, 3)


def test_a_time_limit_ends_it_where_nobody_passes_the_break_on(sidecar: Sidecar) -> None:
    with held(sidecar, seconds="1") as process:
        assert sidecar.comes_to(FOUND, 4)
        assert process.wait(2) == 0


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_it_is_put_back_where_the_runtime_kills_what_was_executed(sidecar: Sidecar, death: signal.Signals) -> None:
    with held(sidecar, seconds="60") as process:
        process.send_signal(death)
        time.sleep(0.1)
    assert sidecar.comes_to(FOUND, 3)


def test_nobody_reads_what_it_prints(sidecar: Sidecar) -> None:
    """A closed pipe must not end the shell before its last command."""
    with held(sidecar, seconds="60") as process:
        assert process.stdout is not None
        process.stdout.close()
    assert sidecar.comes_to(FOUND, 3)


def test_it_comes_down_at_once_where_the_client_was_gone_before_it_went_up(sidecar: Sidecar) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(words("60"), env=sidecar.environment, stdin=subprocess.DEVNULL, stdout=writer) as process:
        os.close(writer)
        process.wait(5)
    assert sidecar.levels == FOUND
    assert len(sidecar.calls) == 2


def test_a_level_that_is_not_seen_to_come_down_is_told(
    client: Client, server: ApiServer, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log_level.raised(client, [a_pod()], sleep=lambda _seconds: None) as levels:
        monkeypatch.setattr(streams, "_until_closed", lambda *_arguments: broken())
        server.programs.clear()
    assert levels[0].put_back is False
    [warning] = client.warnings
    assert f"Pod {NS}/p was not seen to be as before" in warning
    assert "logging?paths=router:warning,connection:info" in warning
    assert sidecar.comes_to(FOUND, 3)


def broken() -> None:
    raise UnreachableError("the stream", "broke", sent=True)


def words(seconds: str) -> list[str]:
    raised, before = "router:debug,connection:debug", "router:warning,connection:info"
    return ["sh", "-c", log_level._SCRIPT, "sh", raised, before, seconds, log_level.HELD]


@contextmanager
def held(sidecar: Sidecar, seconds: str) -> Iterator[subprocess.Popen[bytes]]:
    """The shell as it waits, with the levels raised; its input ends with the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(words(seconds), env=sidecar.environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline().decode().strip() == log_level.HELD
        assert sidecar.levels == RAISED
        yield process


RUN = """
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import client, config
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import log_level
pods = [
    objects.pod({"metadata": {"namespace": "monitoring", "name": name}, "spec": {"containers": []}}) for name in "pq"
]
asked = client.Client(config.connect({"host": "%s", "api_key": "x"}))
with log_level.raised(asked, pods):
    asked.server_time()
"""
CALLS = 5


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_a_run_that_is_killed_at_any_of_its_calls_leaves_nothing_raised(
    server: ApiServer, sidecar: Sidecar, tmp_path: Path, collections_path: Path, number: int
) -> None:
    """SIGKILL when the call has arrived; a command is begun all the same, and nobody is there any more to end it."""
    other = place(server, "q", Sidecar(tmp_path / "q"))
    started = threading.Event()

    def strike(_request: Request) -> None:
        if len(server.requests) == number:
            started.wait()
            run.kill()

    server.faults.append(strike)
    environment = {**os.environ, "PYTHONPATH": str(collections_path)}
    with subprocess.Popen([sys.executable, "-c", RUN % server.url], env=environment) as run:
        started.set()
    assert run.returncode == -signal.SIGKILL
    # The second call for each sidecar raises its level. What was begun ends by itself.
    deadline = time.monotonic() + 20
    while ended(sidecar, other) != number // 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended(sidecar, other) == number // 2
    assert (sidecar.levels, other.levels) == (FOUND, FOUND)
    assert len(server.requests) == number


def ended(*sidecars: Sidecar) -> int:
    """In how many sidecars the level was raised and put back."""
    return sum(len(sidecar.calls) == len(("list", "raise", "put back")) for sidecar in sidecars)


def test_a_run_makes_so_many_calls(server: ApiServer, sidecar: Sidecar, tmp_path: Path, collections_path: Path) -> None:
    place(server, "q", Sidecar(tmp_path / "q"))
    environment = {**os.environ, "PYTHONPATH": str(collections_path)}
    subprocess.run([sys.executable, "-c", RUN % server.url], env=environment, check=True)
    assert len(server.requests) == CALLS
    assert sidecar.levels == FOUND
