# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a probe saw proves that queries pass, by mTLS, for this tenant alone.

Three results: passed, failed, inconclusive. No traffic, no log line, no series: inconclusive, never passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import access_log, objects, route
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import STRICT
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.observation import (
    Observation,
    PodLog,
    Reply,
)

PASSED, FAILED, INCONCLUSIVE = "passed", "failed", "inconclusive"
# The SNI that Istio's mTLS carries: outbound_.<port>_.<subset>_.<fqdn>.
ISTIO_SNI = "outbound_."
SHOWN = 160
NO_REQUEST = (
    f"logged no request of this probe; where access logs are off, {access_log.HOW_TO_ENABLE}; query_path_probe does "
    "without them where raise_log_level allows it"
)
# Connections of a listener that was replaced are closed when it has drained: ProxyConfig.drainDuration, 45 seconds by
# default (https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#ProxyConfig).
DRAINED = timedelta(seconds=60)


class Check(NamedTuple):
    """One promise and whether it was kept. name: answers, tenants, replicas, connections, or mtls for one hop."""

    name: str
    result: str
    text: str


class Proof(NamedTuple):
    """result: the worst of the checks.

    served: for each replica, how many requests of the probe it was seen to serve.
    """

    result: str
    checks: tuple[Check, ...]
    served: tuple[tuple[str, int], ...]


class _Seen(NamedTuple):
    """The access logs, parsed once, and why some could not be read; both by name of the pod."""

    records: dict[str, tuple[Record, ...]]
    problems: dict[str, str]
    nonce: str
    started: str

    def of(self, workload: Workload) -> Iterator[Record]:
        for pod in workload.pods:
            yield from self.records.get(pod.name, ())

    def problem(self, *workloads: Workload) -> str:
        found = [
            self.problems[pod.name] for workload in workloads for pod in workload.pods if pod.name in self.problems
        ]
        return found[0] if found else ""

    def during(self, record: Record) -> bool:
        when, start = access_log.moment(record.time), access_log.moment(self.started)
        return when is not None and start is not None and when >= start

    def carries_nonce(self, record: Record) -> bool:
        return self.nonce in record.path


def judge(path: Path, observation: Observation, alone: bool = False) -> Proof:
    """path: as walked just before the probe. alone: the queries began at its first pod, and no replica was chosen."""
    seen = _Seen(
        {log.pod: _records(log) for log in observation.logs},
        {log.pod: log.problem for log in observation.logs if log.problem},
        observation.nonce,
        observation.started,
    )
    served = _served(path, observation, seen)
    checks = (
        _answers(observation),
        _tenants(observation),
        *([] if alone else [_replicas(served)]),
        *(_mtls(hop, seen) for hop in path.hops),
        _connections(path.hops[-1], seen, observation),
    )
    results = {check.result for check in checks}
    worst = next(result for result in (FAILED, INCONCLUSIVE, PASSED) if result in results)
    return Proof(worst, checks, served)


def _records(log: PodLog) -> tuple[Record, ...]:
    """An access log's lines, and debug lines about requests that it does not have."""
    records = access_log.parse(log.text)
    known = {record.request_id for record in records if record.request_id}
    return (*records, *(record for record in log.debug if record.request_id not in known))


def _answers(observation: Observation) -> Check:
    if not observation.own:
        return Check("answers", INCONCLUSIVE, "no query was sent")
    found = [_answer(reply, observation.tenant_label, observation.tenant) for reply in observation.own]
    for worst in (FAILED, INCONCLUSIVE):
        for result, text in found:
            if result == worst:
                return Check("answers", result, text)
    return Check("answers", PASSED, f"{len(observation.own)} queries answered with series")


def _answer(reply: Reply, label: str, tenant: str) -> tuple[str, str]:
    """What one reply to the own query tells: the result, and why it is not passed."""
    if reply.error:
        # It was lost between us and Grafana, which answers for whatever is wrong behind it.
        return INCONCLUSIVE, f"a query got no answer from Grafana: {reply.error}"
    series = _series(reply)
    if reply.status != 200 or series is None:
        return FAILED, f"a query was answered with {reply.status}: {_shown(reply.body)}"
    if not series:
        return INCONCLUSIVE, "a query came back without series, which proves nothing; choose one that finds some"
    strangers = {labels.get(label, "") for labels in series if label and tenant and labels.get(label) != tenant}
    if strangers:
        return FAILED, f"tenant {tenant!r} was shown series with {label}={sorted(strangers)[0]!r}"
    return PASSED, ""


def _tenants(observation: Observation) -> Check:
    label, tenant = observation.tenant_label, observation.tenant
    if not label:
        return Check("tenants", PASSED, "no proxy on this path enforces a tenant")
    if not tenant:
        return Check("tenants", INCONCLUSIVE, f"which {label} this data source may see is not known; set tenant")
    if not observation.foreign:
        return Check("tenants", INCONCLUSIVE, "no query for other tenants' series was sent")
    for reply in observation.foreign:
        if reply.error or reply.status >= 500:
            return Check(
                "tenants",
                INCONCLUSIVE,
                f"a query for other tenants' series got no verdict: {reply.error or reply.status}",
            )
        leaked = [labels for labels in _series(reply) or [] if labels.get(label) != tenant]
        if leaked:
            return Check(
                "tenants", FAILED, f"tenant {tenant!r} can read series with {label}={leaked[0].get(label, '')!r}"
            )
    refused = sum(1 for reply in observation.foreign if reply.status >= 400)
    how = "refused" if refused == len(observation.foreign) else "empty"
    return Check("tenants", PASSED, f"queries for series of other {label} values came back {how}")


def _series(reply: Reply) -> list[dict[str, str]] | None:
    """The label sets in a Prometheus query answer; None where the body is none."""
    try:
        decoded: Any = json.loads(reply.body)
    except ValueError:
        return None
    if not isinstance(decoded, dict) or decoded.get("status") != "success":
        return None
    found = objects.sequence(objects.mapping(decoded.get("data")).get("result"))
    return [objects.mapping(objects.mapping(entry).get("metric")) for entry in found]


def _served(path: Path, observation: Observation, seen: _Seen) -> tuple[tuple[str, int], ...]:
    """Requests of the probe by replica: seen at the replica's own sidecar, else by the address that Grafana's
    sidecar chose.
    """
    first = path.hops[0]
    chosen = [record.upstream_host for record in seen.of(first.step.client) if seen.carries_nonce(record)]
    counts = []
    for pod in first.step.server.pods:
        if pod.name in observation.replicas:
            address = f"{pod.ip}:{objects.target_port(first.step.port, pod)}"
            own = [
                entry for entry in seen.records.get(pod.name, ()) if not entry.outbound and seen.carries_nonce(entry)
            ]
            counts.append((pod.name, max(chosen.count(address), len(own))))
    return tuple(counts)


def _replicas(served: tuple[tuple[str, int], ...]) -> Check:
    if not served:
        return Check("replicas", INCONCLUSIVE, "no replica was ready")
    missed = [name for name, count in served if not count]
    if missed:
        return Check(
            "replicas",
            INCONCLUSIVE,
            f"{len(missed)} of {len(served)} replicas were not seen to serve: {', '.join(missed)}",
        )
    return Check("replicas", PASSED, f"all {len(served)} ready replicas served")


def _mtls(hop: Hop, seen: _Seen) -> Check:
    name = f"mtls {hop.step.client.name} -> {hop.step.service.name}:{hop.step.port.number}"
    if hop.step.server.mesh == "none" or hop.step.client.mesh == "none":
        return Check(name, INCONCLUSIVE, "one side has no sidecar, so there is no mTLS to prove")
    sent = [record for record in seen.of(hop.step.client) if record.outbound]
    mine = [record for record in sent if _of_probe(record, hop, seen)]
    wanted = _wanted(hop)
    astray = [record for record in mine if not _same_cluster(record.cluster, wanted)]
    if astray:
        return Check(
            name, FAILED, f"a request left through {astray[0].cluster or astray[0].route}, not through {wanted}"
        )
    if untold := [record for record in sent if record.peer is not None and _elsewhere(record, hop, seen)]:
        text = (
            f"a request left through {untold[0].cluster}, and debug lines do not tell whether it was meant for {wanted}"
        )
        return Check(name, INCONCLUSIVE, text)
    if not mine:
        return Check(name, INCONCLUSIVE, seen.problem(hop.step.client) or f"the client's sidecar {NO_REQUEST}")
    server = [record for record in seen.of(hop.step.server) if not record.outbound and seen.during(record)]
    addresses = {record.upstream_local for record in mine if record.upstream_local}
    requests = {record.request_id for record in mine if record.request_id}
    met = [entry for entry in server if entry.downstream_remote in addresses or entry.request_id in requests]
    # A debug line without a certificate tells nothing: the mesh may keep the header in which it stands.
    met = [entry for entry in met if entry.peer is None or entry.peer]
    plain = [entry for entry in met if not (entry.peer or entry.server_name.startswith(ISTIO_SNI))]
    if plain:
        return Check(
            name,
            FAILED,
            f"the server's sidecar saw the request without Istio's mTLS ({plain[0].details or plain[0].code})",
        )
    if met:
        what = f"certificate of {met[0].peer}" if met[0].peer else f"SNI {met[0].server_name}"
        return Check(name, PASSED, f"cluster {mine[0].cluster} at the client, {what} at the server")
    if hop.mode is not None and hop.mode.mode == STRICT:
        return Check(
            name,
            PASSED,
            f"cluster {mine[0].cluster} at the client; the server accepts nothing but mTLS ({hop.mode.source})",
        )
    return Check(name, INCONCLUSIVE, seen.problem(hop.step.server) or f"the server's sidecar {NO_REQUEST}")


def _of_probe(record: Record, hop: Hop, seen: _Seen) -> bool:
    """Whether a client's line belongs to the probe: by the nonce in its path, or, a TCP connection, by its time and
    address.
    """
    if record.peer is not None:
        return seen.carries_nonce(record) and not _elsewhere(record, hop, seen)
    if not hop.dialled(record.downstream_local):
        return False
    return seen.carries_nonce(record) if record.path else seen.during(record)


def _elsewhere(record: Record, hop: Hop, seen: _Seen) -> bool:
    """Whether a debug line is about a request of the probe that may have been dialled for something else.

    It does not name the address that the client's program dialled; where PassthroughCluster opened a connection, that
    leads there. A proxy may well send a query's path to somebody else, such as one who authenticates it.
    """
    there = _same_cluster(record.cluster, _wanted(hop)) or hop.dialled(record.upstream_host)
    return seen.carries_nonce(record) and not there


def _wanted(hop: Hop) -> str:
    return route.cluster_name(hop.step.service, hop.step.port.number, "")


def _same_cluster(cluster: str, wanted: str) -> bool:
    # `wanted` ends with `.svc.`: the cluster domain and a subset do not matter here.
    direction, port, _subset, fqdn = [*cluster.split("|"), "", "", "", ""][:4]
    return f"{direction}|{port}||{fqdn}".startswith(wanted)


def _connections(hop: Hop, seen: _Seen, observation: Observation) -> Check:
    """On the last hop an old connection may outlive what forbids it, so one must be young enough to prove anything.

    Young is what was opened during the probe, or since the last change of all that the hop rests on. Where that is long
    ago and the sidecar routes each request on its own, no connection can be older than what it meets.
    """
    records = list(seen.of(hop.step.client))
    mine = [record for record in records if record.outbound and _of_probe(record, hop, seen) and record.upstream_local]
    used = {record.upstream_local for record in mine}
    new = used - {record.upstream_local for record in records if not seen.during(record)}
    if new:
        return Check("connections", PASSED, f"{len(new)} new connections to {hop.step.service.name}")
    settled, logs_from, started = map(
        access_log.moment, (observation.settled, observation.logs_from, observation.started)
    )
    if used and settled and logs_from and started:
        if logs_from <= settled and used - _seen_before(records, settled):
            return Check("connections", PASSED, "the connection was opened since the configuration last changed")
        if started - settled > DRAINED and all(record.path for record in mine):
            text = "each request was routed on its own, and what it met has not changed for a while"
            return Check("connections", PASSED, text)
    why = seen.problem(hop.step.client) or "no new connection was seen"
    return Check("connections", INCONCLUSIVE, f"{why}: an old connection may go on working after what forbids it")


def _seen_before(records: list[Record], settled: datetime) -> set[str]:
    """The connections that had carried something before a moment."""
    return {record.upstream_local for record in records if (when := access_log.moment(record.time)) and when <= settled}


def _shown(body: str) -> str:
    line = " ".join(body.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
