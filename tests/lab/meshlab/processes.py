# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's processes: starting them, finding them again, ending them.

Every process carries MESHLAB_NODE (the node's programs) or MESHLAB_POD (containers) in its environment, and hands
it to its children. So the lab finds its processes even when nobody wrote down their numbers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from meshlab import network
from meshlab.errors import LabError
from meshlab.settings import Folders

NODE_MARK = "MESHLAB_NODE"
POD_MARK = "MESHLAB_POD"
PROC = Path("/proc")


class Daemon(NamedTuple):
    """A long-running program of the lab."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = {}
    on_host: bool = False
    """Runs in the host's network namespace instead of the node's."""


def start(daemon: Daemon, folders: Folders) -> int:
    """Start *daemon* in the background; log to logs/<name>.log, number to run/<name>.pid; return the number."""
    command = daemon.command
    if not daemon.on_host:
        # A mount namespace of its own: whatever the program mounts goes with it, however it ends.
        command = network.inside(["unshare", "--mount", "--propagation", "slave", "--", *command])
    with (folders.logs / f"{daemon.name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folders.state,
            env={**daemon_environment(os.environ), **daemon.environment},
            start_new_session=True,
        )
    pid_file(daemon.name, folders).write_text(f"{process.pid} {start_time(process.pid)}\n", encoding="ascii")
    return process.pid


def daemon_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the little of the caller's environment that a daemon gets, and the mark by which it is found."""
    kept = {name: environment[name] for name in ("PATH", "HOME", "LANG") if name in environment}
    return {**kept, NODE_MARK: "1"}


def pid_file(name: str, folders: Folders) -> Path:
    return folders.state / "run" / f"{name}.pid"


def running(name: str, folders: Folders) -> int | None:
    """Return the number of the daemon *name* if it is alive, else None; a recycled number does not count."""
    try:
        pid, started = map(int, pid_file(name, folders).read_text(encoding="ascii").split())
    except (FileNotFoundError, ValueError):
        return None
    return pid if start_time(pid) == started else None


def start_time(pid: int) -> int | None:
    """Return when *pid* started, in clock ticks since boot, or None when it does not run; a zombie does not."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Fields 3 and 22 of proc(5); the name before them may hold anything.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def is_marked(pid: int) -> bool:
    """Tell whether the environment of *pid* carries one of the lab's marks."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    marks = tuple(f"{mark}=".encode() for mark in (NODE_MARK, POD_MARK))
    return any(entry.startswith(marks) for entry in environment.split(b"\0"))


def of_the_lab() -> list[int]:
    """Return the numbers of all live processes of the lab.

    Besides the marked ones these are all that share a network namespace with one of them or with the node, which
    covers a program that threw its environment away. This program and the host's namespace never count.
    """
    pids = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]
    marked = {pid for pid in pids if pid != os.getpid() and is_marked(pid)}
    namespaces = {network_namespace(PROC / str(pid) / "ns" / "net") for pid in marked}
    namespaces.add(network_namespace(network.NODE_NAMESPACE))
    namespaces -= {None, network_namespace(PROC / "self/ns/net")}
    found = marked | {pid for pid in pids if network_namespace(PROC / str(pid) / "ns" / "net") in namespaces}
    return sorted(pid for pid in found if start_time(pid) is not None)


def network_namespace(path: Path) -> tuple[int, int] | None:
    """Return what identifies the network namespace behind *path*, or None where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return status.st_dev, status.st_ino


def kill_all(patience: float = 20) -> int:
    """End every process of the lab, children that appear meanwhile too; return how many there were.

    SIGKILL at once: nothing of a lab is worth saving, and so the way after a crash is the way that is always taken.
    Raises LabError with the numbers of processes that outlive it by *patience* seconds.
    """
    seen: set[int] = set()
    deadline = time.monotonic() + patience
    while alive := of_the_lab():
        if time.monotonic() > deadline:
            raise LabError(
                f"Processes of the lab do not end: {', '.join(map(str, alive))}; reboot if 'ps' shows them in state D."
            )
        for pid in alive:
            if pid not in seen:
                kill(pid)
        seen.update(alive)
        time.sleep(0.02)
    reap()
    wait_for_init(seen)
    return len(seen)


def wait_for_init(pids: Iterable[int], patience: float = 3) -> None:
    """Wait until process 1 has collected the ended *pids*. Where it never does, they stay as harmless zombies."""
    deadline = time.monotonic() + patience
    while any((PROC / str(pid)).exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reap() -> None:
    """Collect ended children of this program, so that none stays as a zombie while it goes on."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def last_words(name: str, folders: Folders, lines: int = 1) -> str:
    """Return the last *lines* of the log of daemon *name*, for an error message."""
    return "\n".join(list(log_lines(folders.logs / f"{name}.log"))[-lines:])


def log_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a log that say something; none when there is no log."""
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as log:
            yield from (line.rstrip() for line in log if line.strip())
