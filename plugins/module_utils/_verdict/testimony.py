# SPDX-License-Identifier: GPL-3.0-or-later
"""The second witness: what the access logs of both sidecars say about a hop.

Only lines that are newer than the configuration they are compared with count; an older line tells about a mesh that is
gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import access_log, settled
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import (
    SIDECAR_CONTAINER,
    Workload,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    BLOCKED,
    DYNAMIC_DNS,
    NO_CLUSTER,
    OTHER_SERVICE,
    PASSTHROUGH,
    SERVICE,
    Hop,
    Path,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Snapshot

# Of a workload with many replicas this many are read, so that the number of requests stays bounded.
PODS_READ = 2


class Testimony(NamedTuple):
    """What the logs say about one hop.

    route    the kind of route that the client's sidecar took, in the words of _model.path; "" = the logs do not say
    refused  the server's sidecar refused plaintext (NR filter_chain_not_found)
    failed   Envoy itself ended the newest request, on either side; an error that the server answered does not count
    client, server   the lines that say so
    problem  why there is nothing to say; "" where there is
    """

    route: str = ""
    refused: bool = False
    failed: bool = False
    client: Record | None = None
    server: Record | None = None
    problem: str = ""


def client_needs(hop: Hop) -> tuple[Need, ...]:
    """The logs that show a request first: those of the hop's client."""
    return _log_needs(hop.step.client)


def hear(question: Question, snapshot: Snapshot, path: Path, hop: Hop) -> Testimony:
    """What the logs say about a hop. Raises NotReadError."""
    if not question.read_logs:
        return Testimony(problem="access logs were not asked for (read_logs)")
    since = settled.since(question, snapshot, path, hop)
    client = [record for need in client_needs(hop) for record in _records(snapshot, need, since)]
    mine = [record for record in client if record.outbound and hop.dialled(record.downstream_local)]
    if not mine:
        # Nothing to look for at the server.
        wanted = client_needs(hop)
        answers = zip(wanted, snapshot.require(*wanted), strict=True)
        problems = [f"{need.namespace}/{need.name}: {answer.problem}" for need, answer in answers if answer.problem]
        return Testimony(problem=_silence(hop, problems, client))
    server_needs = _log_needs(hop.step.server)
    snapshot.require(*server_needs)
    server = [record for need in server_needs for record in _records(snapshot, need, since)]
    newest = max(mine, key=lambda record: record.time)
    partner = _partner(newest, server)
    return Testimony(
        route=_route(newest, hop),
        refused=partner is not None and partner.details == "filter_chain_not_found",
        failed=_failed_in_the_mesh(newest) or (partner is not None and _failed_in_the_mesh(partner)),
        client=newest,
        server=partner,
    )


def _log_needs(workload: Workload) -> tuple[Need, ...]:
    pods = [pod for pod in (workload.ready_pods or workload.pods) if pod.mesh == "sidecar"]
    return tuple(Need("log", "Pod", pod.namespace, pod.name, container=SIDECAR_CONTAINER) for pod in pods[:PODS_READ])


def _records(snapshot: Snapshot, need: Need, since: datetime | None) -> Iterator[Record]:
    for record in access_log.parse(snapshot.ask(need).text):
        when = access_log.moment(record.time)
        if when is not None and (since is None or when > since):
            yield record


def _partner(record: Record, server: Iterable[Record]) -> Record | None:
    """The server's line for the same request: by request id, else by the address of the connection."""
    for other in server:
        same_request = record.request_id and record.request_id == other.request_id
        same_connection = record.upstream_local and record.upstream_local == other.downstream_remote
        if not other.outbound and (same_request or same_connection):
            return other
    return None


def _route(record: Record, hop: Hop) -> str:
    by_cluster = {
        "PassthroughCluster": PASSTHROUGH,
        "AllowAnyDynamicDNSCluster": DYNAMIC_DNS,
        "BlackHoleCluster": BLOCKED,
    }
    if record.route == "block_all":
        return BLOCKED
    if record.cluster in by_cluster:
        return by_cluster[record.cluster]
    if "NC" in record.flags.split(","):
        return NO_CLUSTER
    fqdn = record.cluster.rpartition("|")[2]
    wanted = f"{hop.step.service.name}.{hop.step.service.namespace}.svc."
    if record.cluster.startswith(f"outbound|{hop.step.port.number}|") and fqdn.startswith(wanted):
        return SERVICE
    return OTHER_SERVICE if record.cluster.startswith("outbound|") else ""


def _failed_in_the_mesh(record: Record) -> bool:
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags
    ended_by_envoy = {"UC", "UF", "UH", "UR", "URX", "NC", "NR"} & set(record.flags.split(","))
    return bool(ended_by_envoy) or record.details.startswith("rbac_access_denied")


def _silence(hop: Hop, problems: list[str], anything: list[Record]) -> str:
    if problems:
        return f"access logs could not be read ({'; '.join(problems)})"
    if hop.step.client.mesh != "sidecar":
        return f"{hop.step.client} has no sidecar that could log"
    if hop.protocol.kind != "HTTP" and anything:
        return "a TCP connection is logged when it closes, and none has closed since the configuration last changed"
    if anything:
        return "no request has passed this hop since the configuration last changed"
    return (
        f"the sidecars have logged no request since the configuration last changed; if they never do, "
        f"{access_log.HOW_TO_ENABLE}"
    )
