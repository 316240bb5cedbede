# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe saw, as plain data: it is judged elsewhere, so that asking and judging can be tested apart."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record


class Reply(NamedTuple):
    """What Grafana answered to one query.

    status  HTTP status; 0 where no answer came
    body    at most 64 KiB of it
    error   why no answer came; "" where one did
    """

    status: int
    body: str
    error: str = ""


class PodLog(NamedTuple):
    """A sidecar's log from some minutes before the probe to its end.

    text     its access log
    problem  why it could not be read; "" where it was
    debug    the requests in its debug lines, where its log level was raised
    """

    namespace: str
    pod: str
    text: str
    problem: str = ""
    debug: tuple[Record, ...] = ()


class Observation(NamedTuple):
    """nonce         stands in the PromQL of every query of the probe, and so in the paths that sidecars log
    started       RFC 3339 in UTC, by the clock of the cluster's API server
    own           replies to the query under the own tenant
    foreign       replies to a query, under the own tenant, for series of other tenants
    logs          of every meshed pod on the path
    replicas      names of the ready pods of the first server behind Grafana, each of which must have served
    tenant_label  the label that the proxy enforces; "" = the path has no such proxy
    tenant        its value for this data source
    settled       since when all that the last hop rests on has stood as it does; RFC 3339 in UTC, "" = not known
    logs_from     from when on logs were read
    """

    nonce: str
    started: str
    own: tuple[Reply, ...]
    foreign: tuple[Reply, ...]
    logs: tuple[PodLog, ...]
    replicas: tuple[str, ...]
    tenant_label: str
    tenant: str
    settled: str = ""
    logs_from: str = ""
