# SPDX-License-Identifier: GPL-3.0-or-later
"""The query path as a small drawing: every workload, and between two of them what one request meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import Drawing, Line

Hop = Mapping[str, Any]

# What the arrow between two workloads ends in, by the outcome's kind.
_ENDS = {"ok": "v", "exposed": "!", "fails": "X"}
_SHAFT = "    | "


def drawing(hops: Sequence[Hop]) -> Drawing:
    """Draw the ``hops`` of a diagnosis from Grafana downwards."""
    lines = [Line("  ", "  ", hop["client"]) for hop in hops[:1]]
    for hop in hops:
        lines += _arrow(hop)
        lines.append(Line("  ", "  ", hop["server"]))
    return Drawing(tuple(lines))


def _arrow(hop: Hop) -> list[Line]:
    route, outcome, mode = hop["route"], hop["outcome"], hop["server_mtls"]["mode"]
    name = f"{route['name']} -> " if route["name"] else ""
    accepts = "the server has no sidecar" if mode == "none" else f"the server accepts {mode}"
    met = (
        f"Host: {hop['host_on_wire']}",
        f"route: {name}{route['cluster'] or route['kind']} ({hop['client_tls']['mode']})",
        f"port: {hop['port']} of Service {hop['service']} ({hop['protocol']['kind']}), {accepts}",
    )
    end = f"    {_ENDS.get(outcome['kind'], '?')} "
    return [*(Line(_SHAFT, _SHAFT, text) for text in met), Line(end, "      ", _result(outcome))]


def _result(outcome: Mapping[str, Any]) -> str:
    return "" if outcome["kind"] == "ok" else str(outcome["text"])
