# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Grafana for a query through the data source, on new connections, and gathers what sidecars logged about it.

The question goes the user's way: Grafana's data source proxy passes the upstream's status and body on as they are
(https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/data_source/#data-source-proxy-calls).
A nonce in the PromQL, as a matcher that every series fulfils, makes the probe's requests known in every access log.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier, BrokenBarrierError
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ApiError, UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.grafana import Grafana, GrafanaError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import access_log, debug_log, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import SIDECAR_CONTAINER, Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.observation import (
    Observation,
    PodLog,
    Reply,
)

# Envoy writes its access log about once a second.
FLUSH_SECONDS = 1.3
# The API server's clock is told in whole seconds.
CLOCK_SECONDS = 1.0
# Each round sends more requests at once than the one before: connection pools on the way keep those of the last round
# open, and only what exceeds them is new.
ROUNDS = 4
FOREIGN_QUERIES = 2
# Sent ahead and not judged. A program keeps some connections to its upstream (Go's HTTP client: two). Where a change
# took their listener away, Envoy answers once more in the old way and then closes; where it did not, they stay as they
# are, fail on, and are judged.
AHEAD_QUERIES = 3
# So few series are enough, and a busy tenant's thousands do not fit into a reply.
SERIES = 20
# How long before the probe logs are read, to tell new connections from old ones.
LOG_SECONDS_BEFORE = 300
LOG_LINES = 4000
# With the log level raised a request makes some thirty lines where it comes in and as many where it goes out (measured
# on Envoy 1.40).
DEBUG_LINES = 40000
PODS_READ = 40
_SELECTOR = re.compile(r"^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*$")


class Options(NamedTuple):
    """nonce         letters and digits that occur nowhere else
    query         a metric name, with matchers at most
    tenant_label  the label that the path's proxy enforces; "" = none
    tenant        its value for this data source; "" = not known
    other_tenant  another value, which must not be readable; "" = any other
    requests      queries at once in the first round
    settled       since when all that the path rests on has stood as it does; RFC 3339 in UTC, "" = not known
    """

    nonce: str
    query: str = "up"
    tenant_label: str = ""
    tenant: str = ""
    other_tenant: str = ""
    requests: int = 8
    settled: str = ""


def options(path: Path, nonce: str, query: str, requests: int, tenants: dict[str, str]) -> Options:
    """The options of a probe, with what the path tells where `tenants` (by name of the option) says nothing.

    Raises InputError.
    """
    if not _SELECTOR.match(query):
        raise InputError(
            f'query {query!r} must be the name of a metric, with matchers at most, such as up or up{{x="y"}}.'
        )
    if not 1 <= requests <= 100:
        raise InputError("requests must be between 1 and 100.")
    enforced = next((hop.step.relay.tenant_label for hop in path.hops if hop.step.relay.tenant_label), "")
    label = tenants.get("tenant_label") or enforced
    parameters = dict(parse_qsl(path.datasource.query_parameters))
    tenant = tenants.get("tenant") or parameters.get(label, "")
    other = tenants.get("other_tenant") or ""
    if other and other == tenant:
        raise InputError(f"other_tenant is {other!r}, which is the tenant of this data source itself.")
    return Options(nonce, query, label, tenant, other, requests)


def datasource_uid(path: Path, grafana: Grafana) -> str:
    """The data source's uid: as known, else that of Grafana's data source with this URL.

    Raises InputError, KubeError.
    """
    if path.datasource.uid:
        return path.datasource.uid
    listed = grafana.json("/api/datasources")
    wanted = path.datasource.url.rstrip("/")
    found = [
        objects.text(entry.get("uid"))
        for entry in map(objects.mapping, objects.sequence(listed))
        if objects.text(entry.get("url")).rstrip("/") == wanted
    ]
    if len(found) != 1:
        raise InputError(
            f"{len(found) or 'No'} data sources of {grafana.where} have the URL {path.datasource.url}. "
            "Set datasource_uid."
        )
    return found[0]


def observe(
    client: Client,
    grafanas: Sequence[Grafana],
    path: Path,
    wanted: Options,
    enough: Callable[[Observation], bool],
    sleep: Callable[[float], None] = time.sleep,
    base: str | None = None,
    debug: Mapping[str, str] | None = None,
) -> Observation:
    """Ask in rounds until `enough` says so or no round is left, and return all that was seen.

    grafanas: each of Grafana's replicas, or one for its URL. base: what comes before Prometheus' /api in the paths of
    the queries, where it is not Grafana that is asked. debug: of pods, as namespace/name, whose log level was to be
    raised: "" where it was, else why not. Raises InputError, and KubeError where asking itself is refused.
    """
    if base is None:
        base = f"/api/datasources/proxy/uid/{quote(datasource_uid(path, grafanas[0]), safe='')}"
    own_path, foreign_path = _query_paths(path, base, wanted)
    # Another nonce: what these queries leave in the logs is not judged.
    ahead_path = _query_paths(path, base, wanted._replace(nonce=f"ahead{wanted.nonce[::-1]}"))[0]
    _burst(grafanas, ahead_path, AHEAD_QUERIES)
    # Begin with the next second of the API server's clock, so that no line from before counts as the probe's.
    started = client.server_time().replace(microsecond=0) + timedelta(seconds=CLOCK_SECONDS)
    sleep(CLOCK_SECONDS)
    begun = time.monotonic()
    own: list[Reply] = []
    foreign: list[Reply] = []
    for number in range(1, ROUNDS + 1):
        own += _burst(grafanas, own_path, wanted.requests * number)
        if foreign_path and not foreign:
            foreign += _burst(grafanas, foreign_path, FOREIGN_QUERIES)
        sleep(FLUSH_SECONDS)
        since = LOG_SECONDS_BEFORE + int(time.monotonic() - begun) + 1
        seen = Observation(
            nonce=wanted.nonce,
            started=_rfc3339(started),
            own=tuple(own),
            foreign=tuple(foreign),
            logs=tuple(
                _log(client, pod, since, (debug or {}).get(f"{pod.namespace}/{pod.name}")) for pod in pods(path)
            ),
            replicas=tuple(pod.name for pod in path.hops[0].step.server.ready_pods),
            tenant_label=wanted.tenant_label,
            tenant=wanted.tenant,
            settled=wanted.settled,
            logs_from=_rfc3339(started - timedelta(seconds=LOG_SECONDS_BEFORE)),
        )
        # More rounds do not bring back what got no answer.
        if enough(seen) or not all(reply.status for reply in own):
            break
    return seen


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def promql(query: str, *matchers: str) -> str:
    """A few of a selector's series, with more matchers."""
    found = _SELECTOR.match(query)
    if found is None:
        raise InputError(f"query {query!r} is no selector.")
    name, given = found.groups()
    inside = ",".join(part for part in ((given or "").strip().rstrip(","), *matchers) if part)
    return f"topk({SERIES},{name}{{{inside}}})"


def _query_paths(path: Path, base: str, wanted: Options) -> tuple[str, str]:
    """Paths for the own query and for the one after other tenants' series ("" without tenants)."""
    marker = f'meshops_probe!="{wanted.nonce}"'
    label, tenant = wanted.tenant_label, wanted.tenant
    parameters = [(key, value) for key, value in parse_qsl(path.datasource.query_parameters) if key != label]
    if label and tenant:
        parameters.append((label, tenant))

    def api_path(expression: str) -> str:
        query = urlencode([("query", expression), *parameters])
        return f"{base}/api/v1/query?{query}"

    foreign = ""
    if label and tenant:
        others = f"{label}={_quoted(wanted.other_tenant)}" if wanted.other_tenant else f"{label}!={_quoted(tenant)}"
        foreign = api_path(promql(wanted.query, others, marker))
    return api_path(promql(wanted.query, marker)), foreign


def _quoted(value: str) -> str:
    """A PromQL string; JSON's escapes are among its own."""
    return json.dumps(value, ensure_ascii=False)


def _burst(grafanas: Sequence[Grafana], api_path: str, count: int) -> list[Reply]:
    """Send `count` requests at the same moment, each on its own connection, spread over Grafana's replicas."""
    ready = Barrier(count)

    def wait_for_all() -> None:
        try:
            ready.wait(timeout=10)
        except BrokenBarrierError:
            # One of them could not connect: the others go all the same.
            return

    def ask(number: int) -> Reply:
        reply = None
        try:
            reply = _reply(grafanas[number % len(grafanas)], api_path, wait_for_all)
            return reply
        finally:
            if reply is None or not reply.status:
                # Whoever has no answer may not have come to the barrier either.
                ready.abort()

    with ThreadPoolExecutor(max_workers=count) as pool:
        return list(pool.map(ask, range(count)))


def _reply(grafana: Grafana, api_path: str, wait_for_all: Callable[[], None]) -> Reply:
    try:
        answer = grafana.get(api_path, ready=wait_for_all)
    except UnreachableError as error:
        return Reply(0, "", str(error).rstrip("."))
    if answer.status in (401, 403, 404):
        _raise_if_grafanas_own(grafana, answer.status, answer.text)
    return Reply(answer.status, answer.text)


def _raise_if_grafanas_own(grafana: Grafana, status: int, body: str) -> None:
    """Grafana's refusals are JSON with a message; those of a sidecar (`RBAC: access denied`) and Prometheus are not."""
    try:
        said = json.loads(body)
    except ValueError:
        return
    if isinstance(said, dict) and "message" in said and "status" not in said:
        hint = "check grafana_token" if status == 401 else "check the token's role and datasource_uid"
        raise GrafanaError(f"{grafana.where} refuses the query ({status}): {said['message']}; {hint}.")


def pods(path: Path) -> list[Pod]:
    """The pods on a path whose sidecars' logs are read."""
    found: dict[tuple[str, str], Pod] = {}
    for hop in path.hops:
        for pod in (*hop.step.client.pods, *hop.step.server.pods):
            if pod.mesh == "sidecar":
                found[pod.namespace, pod.name] = pod
    return list(found.values())[:PODS_READ]


def _log(client: Client, pod: Pod, since: int, unraised: str | None) -> PodLog:
    """unraised: why the log level was not raised, "" where it was, None where nobody asked for that."""
    lines = LOG_LINES if unraised is None else DEBUG_LINES
    try:
        text = client.log(pod.namespace, pod.name, SIDECAR_CONTAINER, lines, since)
    except ApiError as error:
        return PodLog(pod.namespace, pod.name, "", str(error).rstrip("."))
    if unraised is None:
        return PodLog(pod.namespace, pod.name, text)
    # Debug lines hold headers, with credentials among them: from here on nothing but what is judged.
    found = debug_log.parse(text)
    problem = unraised or (
        f"its log is longer than the {lines} lines that are read" if text.count("\n") >= lines else ""
    )
    access = "\n".join(record.line for record in access_log.parse(text))
    return PodLog(pod.namespace, pod.name, access, problem, found)
