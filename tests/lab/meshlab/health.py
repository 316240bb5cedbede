# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the lab well? One check for each component, used by ``up``, ``status`` and every wait."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from meshlab import istiod, network, processes
from meshlab.api import Api, ApiError
from meshlab.errors import LabError
from meshlab.settings import (
    API_SERVICE_IP,
    CLUSTER_DOMAIN,
    DNS_SERVICE_IP,
    HOST_API_PORT,
    NODE_NAME,
    Folders,
)

PROBE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "injection-probe", "labels": {"sidecar.istio.io/inject": "true"}},
    "spec": {"containers": [{"name": "probe", "image": "probe"}]},
}

Check = Callable[[], str]
"""Returns what is wrong, in a few words; nothing when all is well."""


def checks(folders: Folders, api: Api) -> dict[str, Check]:
    """Return the check of each component, in the order in which the lab starts them. Checks raise nothing."""
    also: dict[str, Check] = {
        "etcd": lambda: "",
        "kube-apiserver": lambda: api_server(api),
        "kube-controller-manager": lambda: default_service_account(api),
        "kube-scheduler": lambda: "",
        "kube-proxy": kube_proxy,
        "coredns": cluster_dns,
        "node-agent": lambda: node(api),
        "istiod": lambda: "" if istiod.is_ready() else "not ready",
        "loopback-forward": lambda: way_in(api),
    }
    result = {name: with_process(name, folders, check) for name, check in also.items()}
    return {**result, "sidecar injection": lambda: injection(api)}


def with_process(name: str, folders: Folders, check: Check) -> Check:
    """Return a check that looks for the daemon's process first."""
    return lambda: check() if processes.running(name, folders) else "not running"


def problems(folders: Folders, api: Api) -> dict[str, str]:
    """Run all checks at once and return {component: what is wrong with it, or nothing}."""
    todo = checks(folders, api)
    with ThreadPoolExecutor(len(todo)) as pool:
        return dict(zip(todo, pool.map(lambda check: check(), todo.values()), strict=True))


def api_server(api: Api) -> str:
    try:
        return "" if api.get("/readyz") == "ok" else "not ready"
    except ApiError as error:
        return "not ready" if error.status == 500 else str(error)


def default_service_account(api: Api) -> str:
    """The controllers work when they have made the ServiceAccount without which no pod is admitted."""
    try:
        return "" if api.exists("/api/v1/namespaces/default/serviceaccounts/default") else "controllers do not work yet"
    except ApiError as error:
        return str(error)


def kube_proxy() -> str:
    try:
        status, _body = istiod.get("127.0.0.1", 10256, "/livez")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error}"
    return "" if status == 200 else f"unhealthy: status {status}"


def cluster_dns() -> str:
    """Ask cluster DNS by its Service address, so that the answer also proves kube-proxy's rules."""
    name = f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
    try:
        with network.connect(DNS_SERVICE_IP, 53, timeout=1, kind=socket.SOCK_DGRAM) as query:
            query.send(dns_query(name))
            answer = query.recv(512)
    except OSError as error:
        return f"no answer at {DNS_SERVICE_IP}: {error}"
    return "" if socket.inet_aton(API_SERVICE_IP) in answer else f"does not know {name}"


def dns_query(name: str) -> bytes:
    """Return a query for the address of *name* (RFC 1035, section 4.1)."""
    header = struct.pack(">HHHHHH", 1, 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.split("."))
    return header + labels + b"\0" + struct.pack(">HH", 1, 1)


def node(api: Api) -> str:
    try:
        found = api.get_or_none(f"/api/v1/nodes/{NODE_NAME}")
    except ApiError as error:
        return str(error)
    if found is None:
        return "the node has not registered yet"
    conditions = found.get("status", {}).get("conditions", [])
    states = {condition["type"]: condition["status"] for condition in conditions}
    taints = [taint["key"] for taint in found["spec"].get("taints", [])]
    if states.get("Ready") != "True":
        return "the node is not Ready"
    return f"the node is tainted: {', '.join(taints)}" if taints else ""


def injection(api: Api) -> str:
    """Let the API server admit a pod without creating it, and look for the sidecar that the webhook adds."""
    try:
        pod = api.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", PROBE_POD)
    except ApiError as error:
        return str(error)
    containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
    return "" if "istio-proxy" in [container["name"] for container in containers] else "the webhook adds no sidecar"


def way_in(api: Api) -> str:
    """Reach the API server as a shell on the host does."""
    connection = http.client.HTTPSConnection("127.0.0.1", HOST_API_PORT, timeout=5, context=api.context)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, ssl.SSLError, http.client.HTTPException) as error:
        return f"no answer at 127.0.0.1:{HOST_API_PORT}: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"status {status} at 127.0.0.1:{HOST_API_PORT}"


def must_run(name: str, folders: Folders) -> None:
    """Raise LabError with its last words when the daemon *name* has ended."""
    if processes.running(name, folders) is None:
        words = processes.last_words(name, folders) or "it said nothing"
        raise LabError(f"{name} has ended: {words} (log: {folders.logs / name}.log)")
