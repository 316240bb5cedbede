# SPDX-License-Identifier: GPL-3.0-or-later
"""A sidecar whose `pilot-agent request POST logging` is a program on disk, and the debug lines of an Envoy as text."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_AGENT = """#!{python}
import pathlib, sys, urllib.parse
levels = pathlib.Path({levels!r})
found = dict(line.split(": ") for line in levels.read_text().splitlines())
method, request = sys.argv[2:]
assert (sys.argv[1], method) == ("request", "POST")
asked = urllib.parse.urlsplit(request)
assert asked.path == "logging"
for wanted in filter(None, dict(urllib.parse.parse_qsl(asked.query)).get("paths", "").split(",")):
    logger, level = wanted.split(":")
    assert logger in found
    found[logger] = level
levels.write_text("".join(f"{{logger}}: {{level}}\\n" for logger, level in found.items()))
with pathlib.Path({calls!r}).open("a") as calls:
    calls.write(request + "\\n")
print("active loggers:")
for logger, level in found.items():
    print(f"  {{logger}}: {{level}}")
"""
FOUND = {"admin": "warning", "connection": "info", "http": "warning", "router": "warning"}


class Sidecar:
    """One sidecar; its Envoy's levels are lines of a file."""

    def __init__(self, folder: Path, found: dict[str, str] | None = None, shell: bool = True) -> None:
        """found: its levels. shell: whether its image has one."""
        folder.mkdir()
        self._levels, self._calls = folder / "levels", folder / "calls"
        self._levels.write_text("".join(f"{logger}: {level}\n" for logger, level in (found or FOUND).items()))
        self._calls.touch()
        agent = folder / "pilot-agent"
        agent.write_text(_AGENT.format(python=sys.executable, levels=str(self._levels), calls=str(self._calls)))
        agent.chmod(0o755)
        self.environment = {"PATH": f"{folder}:/usr/bin:/bin" if shell else str(folder)}

    @property
    def levels(self) -> dict[str, str]:
        return dict(line.split(": ") for line in self._levels.read_text().splitlines())

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()

    def comes_to(self, wanted: dict[str, str], seconds: float) -> bool:
        """Whether the levels become so within some seconds."""
        deadline = time.monotonic() + seconds
        while self.levels != wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.levels == wanted


def routed(
    cluster: str,
    path: str,
    request_id: str = "r1",
    connection: int = 1,
    when: str = "2026-11-24T11:00:01.500000Z",
    upstream: str = "10.9.1.6:9090",
    certificate: str = "",
    thread: int = 7,
) -> list[str]:
    """What Envoy 1.40 logs about one request that opens an upstream connection, as messages of one or more lines."""
    stream = f'[Tags: "ConnectionId":"{connection}","StreamId":"{connection}01"]'
    opened = f'[Tags: "ConnectionId":"{connection + 1}"]'
    headers = {":authority": "prometheus:9090", ":path": path, "authorization": "Bearer canary51c9"}
    headers |= {"cookie": "grafana_session=canary51c9", "x-request-id": request_id}
    headers |= {"x-forwarded-client-cert": certificate} if certificate else {}
    listed = "".join(f"'{name}', '{value}'\n" for name, value in headers.items())
    attached = f"Attached upstream connection [C{connection + 1}] to downstream connection [C{connection}]"
    said = [
        ("router", f"{stream} cluster '{cluster}' match for URL '{path}'"),
        ("router", f"{stream} router decoding headers:\n{listed}"),
        ("connection", f"{opened} connecting to {upstream}"),
        ("connection", f"{opened} connected"),
        ("router", f"{stream} pool ready"),
        ("router", attached),
        ("router", f"{stream} upstream headers complete: end_stream=false"),
    ]
    return [f"{when}\tdebug\tenvoy {logger} source/x.cc:1\t{text}\tthread={thread}" for logger, text in said]
