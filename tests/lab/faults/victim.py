# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook of ours as a process of its own, that can be stopped at a write and killed with all its children."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from meshlab.errors import LabError
from meshlab.processes import PROC
from stage.place import NAMESPACE
from stage.query import UID

from faults.proxy import Proxy

MARK = "MESHLAB_VICTIM"
PATIENCE = 60.0
PATH = {"grafana_namespace": NAMESPACE, "datasource_uid": UID}


class Victim:
    """A run of a playbook, begun by constructing it."""

    def __init__(self, playbook: str, variables: dict[str, Any], proxy: Proxy | None = None) -> None:
        """playbook: its name, without the collection's. proxy: what it asks in place of the API server.

        Children are found by a mark in their environment: Ansible's workers have sessions of their own.
        """
        self._mark = f"{MARK}={secrets.token_hex(8)}"
        name, _equals, value = self._mark.partition("=")
        through = {"K8S_AUTH_KUBECONFIG": "", "K8S_AUTH_HOST": proxy.url, "K8S_AUTH_API_KEY": "unused"} if proxy else {}
        command = ["ansible-playbook", f"meshops.istio_remediation.{playbook}"]
        self._process = subprocess.Popen(
            [*command, "--extra-vars", json.dumps({**PATH, **variables})],
            env={**os.environ, **through, "ANSIBLE_NOCOLOR": "1", name: value},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._proxy = proxy

    def reaches_the_hold(self) -> bool:
        """Wait until the proxy holds an answer to this run; False where the run ended without. Raises LabError."""
        deadline = time.monotonic() + PATIENCE
        while self._proxy is not None and not self._proxy.seen().held:
            if self._process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise LabError(f"The run neither came to the write nor ended within {PATIENCE:g} s.")
            time.sleep(0.1)
        return True

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was printed. Raises LabError."""
        try:
            printed, _nothing = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise LabError(f"The run did not end within {PATIENCE:g} s.") from error
        return self._process.returncode, printed

    def kill(self) -> None:
        """SIGKILL to every process of the run, until none is left."""
        while alive := [pid for pid in map(int, filter(str.isdigit, os.listdir(PROC))) if self._is_ours(pid)]:
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
            time.sleep(0.02)

    def _is_ours(self, pid: int) -> bool:
        try:
            return self._mark.encode() in Path(PROC, str(pid), "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False
