# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a part of the running lab with SIGKILL: ``up`` repairs it, and ``down`` leaves the machine as it was.

Needs root and the lab for itself. ``make lab-trace`` runs all in about three minutes, ``make lab-test`` the essential.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from meshlab import manifests, processes, waiting
from meshlab.api import Api
from meshlab.settings import LAB, folders

PLACES = folders()
DEPLOYMENTS = "/apis/apps/v1/namespaces/monitoring/deployments"

Picture = dict[str, set[str]]


def picture() -> Picture:
    """Return all that a lab could leave behind, in {kind: lines}."""

    def output(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    return {
        "processes": {str(pid) for pid in processes.of_the_lab()},
        "network links": output("ip", "-o", "-br", "link"),
        "addresses": output("ip", "-o", "-br", "address"),
        "routes": output("ip", "route"),
        "firewall rules": {line for line in output("iptables-save") if not line.startswith("#")},
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "files in /run": {str(path) for path in Path("/run").rglob("*")},
        "state folder": {str(path) for path in PLACES.state.parent.glob(PLACES.state.name)},
        "forwarding": {Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()},
    }


def meshlab(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the lab as a person does."""
    environment = {**os.environ, "PYTHONPATH": str(LAB)}
    line = [sys.executable, "-m", "meshlab", command]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def succeed(command: str) -> str:
    """Run a command of the lab that must end well; return what it said."""
    done = meshlab(command)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def differences(before: Picture, after: Picture) -> dict[str, set[str]]:
    return {kind: before[kind] ^ after[kind] for kind in before if before[kind] != after[kind]}


@pytest.fixture(scope="module")
def untouched() -> Iterator[Picture]:
    """The machine without a lab."""
    succeed("down")
    yield picture()
    meshlab("down")


@pytest.fixture
def stack(untouched: Picture) -> Picture:
    """A lab in which the scenario stack runs; the value is the machine before it."""
    succeed("up")
    api = Api(PLACES)
    manifests.apply(api, manifests.read(LAB / "stack"))

    def available() -> bool:
        states = [deployment.get("status", {}) for deployment in api.get(DEPLOYMENTS)["items"]]
        return all(state.get("availableReplicas") for state in states)

    waiting.until(available, "the stack's becoming available", 60)
    return untouched


def pids_of(victim: str) -> list[int]:
    """Return the processes that *victim* stands for: a daemon, a program in pods, or all that the lab started."""
    if victim == "everything on the node":
        names = [path.stem for path in (PLACES.state / "run").glob("*.pid")]
        return [pid for name in names if (pid := processes.running(name, PLACES))]
    daemon = processes.running(victim, PLACES)
    if daemon is not None:
        return [daemon]
    return [pid for pid in processes.of_the_lab() if victim in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]]


@pytest.mark.parametrize(
    "victim",
    [
        "node-agent",
        "etcd",
        "kube-apiserver",
        "kube-proxy",
        "istiod",
        "loopback-forward",
        "envoy",
        "pilot-agent",
        pytest.param("everything on the node", marks=pytest.mark.essential),
    ],
)
def test_down_after_a_kill_leaves_no_trace(stack: Picture, victim: str) -> None:
    victims = pids_of(victim)
    assert victims, f"nothing to kill: {victim}"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    succeed("down")
    assert differences(stack, picture()) == {}


@pytest.mark.essential
def test_up_repairs_and_then_changes_nothing(stack: Picture) -> None:
    for pid in pids_of("node-agent"):
        os.kill(pid, signal.SIGKILL)
    assert meshlab("status").returncode == 1
    succeed("up")
    succeed("status")
    before = picture()
    started = time.monotonic()
    assert "The lab is up." in succeed("up")
    assert time.monotonic() - started < 2
    assert differences(before, picture()) == {}
    succeed("down")
    assert differences(stack, picture()) == {}


@pytest.mark.parametrize("after", [0.5, 2, 3.5])
def test_up_that_was_killed_is_made_good(untouched: Picture, after: float) -> None:
    with subprocess.Popen([sys.executable, "-m", "meshlab", "up"], env={**os.environ, "PYTHONPATH": str(LAB)}) as up:
        time.sleep(after)
        up.kill()
    succeed("up")
    succeed("status")
    succeed("down")
    assert differences(untouched, picture()) == {}
