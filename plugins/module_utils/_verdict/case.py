# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule may look at: the path with its predictions, and what logs and Envoy say about its hops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.authorization import PolicyEffect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_filter import Touch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import envoy_witness, outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.envoy_witness import EnvoySays
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    Finding,
    Rule,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.testimony import Testimony


class Case(NamedTuple):
    """testimonies: by index of the hop; hops whose logs were not needed are missing.

    policy_effects: by index of the hop, for hops whose server handles the port as TCP. open_backend: the server that
    answers stands behind a label proxy, and no policy keeps others from asking it directly. envoys: by index of the
    hop; only the hop that matters most is asked about. admissions: by index of the hop, what policies do to the queries
    that reach its server, where they do not let all of them in. touches: by index of the hop, what EnvoyFilters may
    change there; filters_unread: why EnvoyFilters could not be read.
    """

    path: Path
    testimonies: Mapping[int, Testimony]
    policy_effects: Mapping[int, tuple[PolicyEffect, ...]]
    open_backend: bool
    envoys: Mapping[int, EnvoySays]
    admissions: Mapping[int, PolicyEffect]
    touches: Mapping[int, tuple[Touch, ...]]
    filters_unread: tuple[str, ...]

    def troubled(self) -> Iterator[tuple[int, Hop, str]]:
        """The hops on which a request fails or travels unprotected, with the status that a finding about it has."""
        for index, hop in enumerate(self.path.hops):
            kind = outcome.of_hop(hop).kind
            if kind in (outcome.FAILS, outcome.EXPOSED):
                yield index, hop, BROKEN if kind == outcome.FAILS else AT_RISK


def hop_name(hop: Hop) -> str:
    return f"{hop.step.client.name} -> {hop.step.service.name}:{hop.step.port.number}"


def describe(record: Record) -> str:
    """An access log line reduced to what tells this failure apart."""
    parts = [record.code, record.flags or "-", record.details]
    named = (
        ("route", record.route),
        ("cluster", record.cluster),
        ("authority", record.authority),
        ("upstream", record.upstream_host),
        ("sni", record.server_name),
        ("from", record.downstream_remote if not record.outbound else ""),
    )
    parts += [f"{name}={value}" for name, value in named if value]
    return " ".join(part for part in parts if part)


def log_evidence(case: Case, index: int) -> tuple[str, ...]:
    """The lines of both sidecars about a hop, or why there are none."""
    testimony = case.testimonies.get(index)
    if testimony is None:
        return ()
    step = case.path.hops[index].step
    lines = []
    if testimony.client is not None:
        lines.append(f"{step.client.name}'s sidecar logged: {describe(testimony.client)}")
    if testimony.server is not None:
        lines.append(f"{step.server.name}'s sidecar logged: {describe(testimony.server)}")
    return (*lines, f"logs: {testimony.problem}") if testimony.problem else tuple(lines)


def envoy_evidence(case: Case, index: int) -> tuple[str, ...]:
    """What both Envoys have for a hop, or why they do not say."""
    said = case.envoys.get(index)
    return envoy_witness.describe(case.path.hops[index], said) if said is not None else ()


def finding(rule: Rule, case: Case, index: int, status: str, summary: str, evidence: tuple[str, ...] = ()) -> Finding:
    """A finding about a hop: its own evidence, the prediction, then Envoy and the logs."""
    hop = case.path.hops[index]
    now = outcome.of_hop(hop)
    mode = f"{hop.mode.mode} ({hop.mode.source})" if hop.mode else "no sidecar"
    prediction = f"{hop.step.server.name} accepts: {mode}; result: {now.text}"
    lines = (*evidence, prediction, *envoy_evidence(case, index), *log_evidence(case, index))
    return Finding(rule.code, status, hop_name(hop), summary, lines, index)
