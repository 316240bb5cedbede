# SPDX-License-Identifier: GPL-3.0-or-later
"""A mitmproxy in front of the lab's API server, on a port of the loopback address, that does what addon.py says.

Whoever asks it is the cluster's administrator: it has the certificate, and wants no credentials.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

from meshlab import waiting
from meshlab.errors import LabError
from meshlab.settings import HOST_API_PORT, Folders

# Python starts slowly where all cores are busy.
PATIENCE = 60.0
PROGRAM = "MESHOPS_MITMDUMP"
EVERY_METHOD = ("GET", "POST", "PATCH", "DELETE")


class Seen(NamedTuple):
    """held: an answer is held. requests: (method, path with query, body) of each since `harm` or `watch`.

    statuses: what the server answered to each; 0 where it was not asked, or has not answered.
    """

    held: bool
    requests: tuple[tuple[str, str, str], ...]
    statuses: tuple[int, ...]


class Proxy:
    """A proxy that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def harm(self, does: str, strikes: int, methods: tuple[str, ...] = EVERY_METHOD, **more: Any) -> None:
        """Harm requests so from now on; see addon.py."""
        plan = {"does": does, "strikes": strikes, "methods": methods, "lasting": False, "spared": "", **more}
        self._tell("PUT", plan)

    def hold_after_write(self, number: int) -> None:
        """Let the write with this number be done, and hold the answer to it until `heal`."""
        self.harm("hold", number, writes=True)

    def watch(self) -> None:
        """Harm nothing, and count from 0."""
        self._tell("PUT", {})

    def heal(self) -> None:
        """Harm nothing any more, and let go what is held."""
        self._tell("DELETE", {})

    def seen(self) -> Seen:
        with urlopen(f"{self.url}/faults", timeout=5) as answer:
            told = json.load(answer)
        return Seen(told["held"], tuple(map(tuple, told["requests"])), tuple(told["statuses"]))

    def _tell(self, method: str, plan: dict[str, Any]) -> None:
        with urlopen(Request(f"{self.url}/faults", json.dumps(plan).encode(), method=method), timeout=5):
            return


@contextmanager
def running(places: Folders) -> Iterator[Proxy]:
    """Run a proxy while the block runs. Raises LabError where mitmproxy is not there or does not start."""
    program = os.environ.get(PROGRAM)
    if not program:
        raise LabError(f"{PROGRAM} does not say where mitmdump is; 'make lab-test' and 'make faults-lab' set it.")
    with socket.socket() as probe, tempfile.TemporaryDirectory() as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        identity = Path(folder) / "admin.pem"
        identity.touch(mode=0o600)
        identity.write_bytes((places.pki / "admin.crt").read_bytes() + (places.pki / "admin.key").read_bytes())
        settings = {
            "confdir": folder,
            "client_certs": str(identity),
            "ssl_verify_upstream_trusted_ca": str(places.pki / "ca.crt"),
            "connection_strategy": "lazy",
        }
        command = [program, "--quiet", "--mode", f"reverse:https://127.0.0.1:{HOST_API_PORT}"]
        command += ["--listen-host", "127.0.0.1", "--listen-port", str(port)]
        command += ["--scripts", str(Path(__file__).with_name("addon.py"))]
        command += [argument for key, value in settings.items() for argument in ("--set", f"{key}={value}")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        proxy = Proxy(f"http://127.0.0.1:{port}")
        try:
            waiting.until(lambda: _answers(proxy, process), "The start of mitmproxy", PATIENCE)
            yield proxy
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _answers(proxy: Proxy, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise LabError(f"mitmproxy ended with {process.returncode} in place of starting.")
    try:
        proxy.watch()
    except (URLError, OSError):
        return False
    return True
