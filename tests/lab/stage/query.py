# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Grafana from another pod of the mesh, as a user does: a witness that knows nothing of the collection."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders

from stage.place import NAMESPACE

UID = "tenant-x"
TENANT = "x"
PATIENCE = 40.0
# Envoy writes its access log about once a second; until then the newest line may tell of the world before.
FLUSH = 1.5
SEPARATOR = "\n--status--"


class Reply(NamedTuple):
    """What came back. tenants: values of the label ``namespace`` in the result, sorted; () where it is no result."""

    status: int
    body: str
    tenants: tuple[str, ...]


def ask(api: Api, folders: Folders, expression: str = "up", uid: str = UID) -> Reply:
    """Run a query through the data source. Raises LabError where Grafana itself could not be asked."""
    secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/grafana-token")
    token = base64.b64decode(secret["data"]["token"]).decode()
    url = (
        f"http://grafana:3000/api/datasources/proxy/uid/{uid}/api/v1/query?query={quote(expression)}&namespace={TENANT}"
    )
    curl = ["curl", "-s", "-m", "10", "-H", f"Authorization: Bearer {token}", "-w", f"{SEPARATOR}%{{http_code}}", url]
    command = [str(folders.programs / "kubectl"), "--kubeconfig", str(folders.kubeconfig), "--namespace", NAMESPACE]
    done = subprocess.run(
        [*command, "exec", "deployment/client2", "--container", "curl", "--", *curl],
        capture_output=True,
        text=True,
        check=False,
    )
    body, found, status = done.stdout.rpartition(SEPARATOR)
    if not found:
        raise LabError(f"Grafana could not be asked from client2: {done.stderr.strip() or 'no answer'}")
    return Reply(int(status), body, tenants(body))


def tenants(body: str) -> tuple[str, ...]:
    """The tenants whose series are in the answer of Prometheus; () where the body is something else."""
    try:
        result = json.loads(body)["data"]["result"]
        return tuple(sorted({series["metric"]["namespace"] for series in result}))
    except (ValueError, KeyError, TypeError):
        return ()


def disagreements(expected: Mapping[str, Any], reply: Reply) -> list[str]:
    """How the reply differs from what is expected of ``status``, ``body`` (a fragment) and ``tenants``."""
    found = []
    if "status" in expected and reply.status != expected["status"]:
        found.append(f"status {reply.status} in place of {expected['status']}")
    if expected.get("body", "") not in reply.body:
        found.append(f"no '{expected['body']}' in the body")
    if "tenants" in expected and list(reply.tenants) != list(expected["tenants"]):
        found.append(f"series of tenants {list(reply.tenants)} in place of {expected['tenants']}")
    return found


def wait_for(api: Api, folders: Folders, expected: Mapping[str, Any], times: int = 2) -> Reply:
    """Ask until the expected answer came several times in a row. Raises LabError with the last answer."""
    deadline = time.monotonic() + PATIENCE
    in_a_row, strayed = 0, False
    while True:
        reply = ask(api, folders)
        wrong = disagreements(expected, reply)
        in_a_row = 0 if wrong else in_a_row + 1
        strayed = strayed or bool(wrong)
        if in_a_row == times:
            if strayed:
                time.sleep(FLUSH)
            return reply
        if time.monotonic() > deadline:
            raise LabError(f"Grafana's answer is not as expected: {'; '.join(wrong)}. It says: {reply.body[:300]}")
        time.sleep(0.3)
