# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis as plain data: the contract of query_path_info."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import Diagnosis, Unanswered
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Remedy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.rules import qp603_envoy_filter

_WORST_FIRST = ("broken", "at_risk", "inconclusive", "healthy")


def to_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """verdict, path, hops, findings, remedies, unknown; the caller adds `api`."""
    judgement, path = diagnosis.judgement, diagnosis.path
    return {
        "verdict": {
            **judgement.verdict._asdict(),
            "under": dict(judgement.verdict.under),
            "witnesses": [witness._asdict() for witness in judgement.verdict.witnesses],
        },
        "datasource": path.datasource._asdict(),
        "hops": [_hop(hop) for hop in path.hops],
        "findings": [_finding(finding) for finding in judgement.findings],
        "remedies": [remedy_to_dict(remedy) for remedy in diagnosis.remedies],
        "unknown": [
            *path.unknown,
            *(text for hop in path.hops for text in hop.unknown),
            *(found.summary for found in judgement.findings if found.code == qp603_envoy_filter.RULE.code),
        ],
    }


def several(results: Iterable[Diagnosis | Unanswered], problems: Sequence[str]) -> dict[str, Any]:
    """The paths of several data sources, the worst first, under the verdict of the worst.

    problems: why there may be data sources that were not seen; then no verdict is healthy.
    """
    made = (to_dict(result) if isinstance(result, Diagnosis) else _unanswered(result) for result in results)
    paths = sorted(made, key=lambda path: _WORST_FIRST.index(path["verdict"]["status"]))
    verdict = paths[0]["verdict"]
    if problems and verdict["status"] == "healthy":
        why = f"What is seen is healthy, but whether these are all data sources cannot be told: {'; '.join(problems)}."
        verdict = {**_open_verdict(why), "under": verdict["under"]}
    return {"verdict": verdict, "paths": paths, "unknown": [*problems]}


def _unanswered(result: Unanswered) -> dict[str, Any]:
    return {
        "verdict": _open_verdict(result.why),
        "datasource": result.datasource._asdict(),
        "hops": [],
        "findings": [],
        "remedies": [],
        "unknown": [result.why],
    }


def _open_verdict(why: str) -> dict[str, Any]:
    return {
        "status": "inconclusive",
        "code": "",
        "summary": why,
        "certainty": "predicted",
        "under": {},
        "witnesses": [],
    }


def _hop(hop: Hop) -> dict[str, Any]:
    step = hop.step
    result = outcome.of_hop(hop)
    return {
        "client": str(step.client),
        "host_on_wire": hop.host,
        "url": step.url,
        "service": f"{step.service.namespace}/{step.service.name}",
        "server": str(step.server),
        "port": step.port.number,
        "protocol": hop.protocol._asdict(),
        "route": {
            "kind": hop.route.kind,
            "listener": hop.route.listener,
            "name": hop.route.name,
            "cluster": hop.route.cluster,
            "why": hop.route.why,
        },
        "client_tls": {"mode": hop.transport.mode, "why": hop.transport.why},
        "server_mtls": {"mode": hop.mode.mode, "source": hop.mode.source}
        if hop.mode
        else {"mode": "none", "source": "no sidecar"},
        "outcome": result._asdict(),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "status": finding.status,
        "where": finding.where,
        "summary": finding.summary,
        "evidence": list(finding.evidence),
    }


def remedy_to_dict(remedy: Remedy) -> dict[str, Any]:
    return {
        "strategy": remedy.strategy,
        "protocol": remedy.protocol,
        "applicable": remedy.applicable,
        "reason": remedy.reason,
        "effects": [{**effect._asdict(), "token": effect.token} for effect in remedy.effects],
        "consent_needed": list(remedy.consent_needed),
        "changes": [change_to_dict(change) for change in remedy.changes],
        "hash": remedy.hash,
        "at_owner": [entry._asdict() for entry in remedy.at_owner],
    }


def change_to_dict(change: Change) -> dict[str, Any]:
    """What people and journals need of a change; the operations themselves are in `patch` and `reverse`."""
    return {
        "action": change.action,
        "target": change.target._asdict(),
        "why": change.why,
        "before": change.before,
        "after": change.after,
        "patch": [dict(operation) for operation in change.patch],
        "reverse": [dict(operation) for operation in change.reverse],
        "body": change.body,
        "waits_for": change.waits_for,
    }
