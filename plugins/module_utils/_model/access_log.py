# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's access log, as Istio writes it: default TEXT (1.6 to today) and JSON.

Source: istio/istio pilot/pkg/model/telemetry_logging.go (EnvoyTextLogFormat, EnvoyJSONLogFormatIstio); field order of
JSON is not kept, and absent values are "-" in TEXT, null or "-" in JSON.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple

_TOKEN = re.compile(r'\[([^\]]*)\]|"((?:[^"\\]|\\.)*)"|(\S+)')
_TEXT_START = re.compile(r'^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "')

_TEXT_FIELDS = (
    "start_time",
    "request",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_service_time",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "route_name",
)
# Istio 1.6 to 1.8 had neither of the two columns that say why.
_TEXT_FIELDS_BEFORE_1_9 = tuple(
    field for field in _TEXT_FIELDS if field not in ("response_code_details", "connection_termination_details")
)


HOW_TO_ENABLE = (
    "turn them on with a Telemetry resource (spec.accessLogging: [{providers: [{name: envoy}]}]) or "
    "meshConfig.accessLogFile: /dev/stdout"
)


class Record(NamedTuple):
    """One request or connection. Absent values are "". time: RFC 3339 in UTC. line: as logged.

    peer: None in an access log. In debug lines (debug_log), which lack most of the rest, the SPIFFE name in the
    certificate of the client, "" where they do not tell.
    """

    time: str
    code: str
    flags: str
    details: str
    route: str
    cluster: str
    authority: str
    path: str
    request_id: str
    upstream_host: str
    upstream_local: str
    downstream_local: str
    downstream_remote: str
    server_name: str
    line: str
    peer: str | None = None

    @property
    def outbound(self) -> bool:
        """Whether the sidecar logged it as a client.

        Inbound clusters begin with `inbound|` or are one of InboundPassthroughCluster; a refused connection has none.
        """
        inbound = self.cluster.startswith(("inbound|", "InboundPassthroughCluster"))
        return not inbound and self.details != "filter_chain_not_found"


def parse(text: str) -> tuple[Record, ...]:
    """The access log lines of a sidecar's log, oldest first.

    Other lines (the agent's own, truncated ones) are left out.
    """
    found = (_record(line) for line in text.splitlines())
    return tuple(record for record in found if record is not None)


def moment(time: str) -> datetime | None:
    """A Kubernetes or Envoy time stamp; None where it is not one."""
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return None


def _record(line: str) -> Record | None:
    line = line.strip()
    fields = _json(line) if line.startswith("{") else _text(line)
    if fields is None or not fields.get("start_time") or "response_code" not in fields:
        return None
    return Record(
        time=fields["start_time"],
        code=fields.get("response_code", ""),
        flags=fields.get("response_flags", ""),
        details=fields.get("response_code_details", ""),
        route=fields.get("route_name", ""),
        cluster=fields.get("upstream_cluster", ""),
        authority=fields.get("authority", ""),
        path=fields.get("path", ""),
        request_id=fields.get("request_id", ""),
        upstream_host=fields.get("upstream_host", ""),
        upstream_local=fields.get("upstream_local_address", ""),
        downstream_local=fields.get("downstream_local_address", ""),
        downstream_remote=fields.get("downstream_remote_address", ""),
        server_name=fields.get("requested_server_name", ""),
        line=line,
    )


def json_object(line: str) -> dict[str, Any] | None:
    """A line that is one JSON object; None where it is not."""
    try:
        decoded = json.loads(line)
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _json(line: str) -> dict[str, str] | None:
    decoded = json_object(line)
    if decoded is None:
        return None
    return {str(key): "" if value in (None, "-") else str(value) for key, value in decoded.items()}


def _text(line: str) -> dict[str, str] | None:
    if not _TEXT_START.match(line):
        return None
    values = [next(group for group in match.groups() if group is not None) for match in _TOKEN.finditer(line)]
    names = {len(_TEXT_FIELDS): _TEXT_FIELDS, len(_TEXT_FIELDS_BEFORE_1_9): _TEXT_FIELDS_BEFORE_1_9}.get(len(values))
    if names is None:
        return None
    fields = {name: "" if value == "-" else value for name, value in zip(names, values, strict=True)}
    words = fields["request"].split(" ")
    fields["path"] = words[1] if len(words) == 3 and words[1] != "-" else ""
    return fields
