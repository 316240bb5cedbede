# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen in a world: by Grafana, by other clients, and by the sidecars on both sides of the last hop."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from meshlab.api import Api
from meshlab.settings import Folders
from stage import query
from stage.place import NAMESPACE

from catalogue.run import FLUSHED

PORT = 9090
PROXY, SERVER = "prom-label-proxy", "prometheus"
RIGHT_HOST = f"{SERVER}.{NAMESPACE}.svc.cluster.local"
FOREIGN_HOST = f"{PROXY}.{NAMESPACE}.svc.cluster.local:8080"
SHORT = ((RIGHT_HOST, "PROM"), (FOREIGN_HOST.partition(":")[0], "PLP"))
NOTHING, NOT_ASKED = "no line", "n/a"
DETAILS = (("upstream_reset_before_response_started", "…"),)
REFUSED = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"


class Sight(NamedTuple):
    """One row of the truth table, each field a short text.

    right_host, foreign_host: a second client that asks Prometheus' Service. proxy_anew: a new connection out of the
    proxy's pod with the foreign Host.
    """

    grafana: str
    right_host: str
    foreign_host: str
    proxy_anew: str
    proxy_sidecar: str
    server_sidecar: str


def look(api: Api, places: Folders, expected: Mapping[str, Any]) -> Sight:
    """Ask everybody, Grafana first, until it answers as expected. Raises LabError."""
    since = datetime.now(timezone.utc)
    reply = query.wait_for(api, places, expected, times=1)
    time.sleep(FLUSHED)
    proxy, server = (list(lines(places, name, since)) for name in (PROXY, SERVER))
    to_prometheus = [line for line in proxy if not (line.get("upstream_cluster") or "").startswith("inbound|")]
    return Sight(
        grafana=answer(reply.status, reply.body, reply.tenants),
        right_host=asked(places, "client2", "curl", RIGHT_HOST),
        foreign_host=asked(places, "client2", "curl", FOREIGN_HOST),
        proxy_anew=asked(places, PROXY, PROXY, FOREIGN_HOST),
        proxy_sidecar=newest(to_prometheus),
        server_sidecar=newest(server),
    )


def answer(status: int, body: str, tenants: Iterable[str]) -> str:
    """An answer as a few words: status, and whose series, or how the body begins."""
    found = ",".join(tenants)
    if found:
        return f"{status} namespaces={found}"
    if REFUSED in body:
        return f"{status} UC body"
    words = " ".join(body.split())
    return f"{status:03d} {words[:60]}".strip()


def asked(places: Folders, deployment: str, container: str, host: str) -> str:
    """Ask Prometheus' Service from a pod, with a Host, on a new connection."""
    url = f"http://{RIGHT_HOST}:{PORT}/api/v1/query?query=up"
    curl = ["curl", "-s", "-m", "10", "-H", f"Host: {host}", "-w", f"{query.SEPARATOR}%{{http_code}}", url]
    done = kubectl(places, "exec", f"deployment/{deployment}", "--container", container, "--", *curl)
    body, found, status = done.stdout.rpartition(query.SEPARATOR)
    return answer(int(status), body, query.tenants(body)) if found else NOT_ASKED


def lines(places: Folders, deployment: str, since: datetime) -> Iterator[dict[str, Any]]:
    """The access log lines about Prometheus' port in a sidecar's log, oldest first."""
    wanted = ["--container", "istio-proxy", f"--since-time={since.isoformat(timespec='seconds')}"]
    for line in kubectl(places, "logs", f"deployment/{deployment}", *wanted).stdout.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict) or "response_code" not in record:
            continue
        started = datetime.fromisoformat(record["start_time"].replace("Z", "+00:00"))
        if started >= since and str(record.get("downstream_local_address")).endswith(f":{PORT}"):
            yield record


def newest(records: list[dict[str, Any]]) -> str:
    """The newest line, reduced to what tells the failures apart."""
    if not records:
        return NOTHING
    record = max(records, key=lambda entry: entry["start_time"])
    words = [str(record.get("response_code")), record.get("response_flags"), record.get("response_code_details")]
    named = (
        ("route", "route_name"),
        ("cluster", "upstream_cluster"),
        ("authority", "authority"),
        ("sni", "requested_server_name"),
        ("closed", "connection_termination_details"),
    )
    words += [f"{name}={record[field]}" for name, field in named if record.get(field) not in (None, "-")]
    text = " ".join(word for word in words if word)
    for long, short in (*DETAILS, *SHORT):
        text = text.replace(long, short)
    return text


def kubectl(places: Folders, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(places.programs / "kubectl"), "--kubeconfig", str(places.kubeconfig), "--namespace", NAMESPACE]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
