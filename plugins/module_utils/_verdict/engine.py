# SPDX-License-Identifier: GPL-3.0-or-later
"""From a path to a verdict: hear the witnesses, run every rule, weigh what they found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    admission,
    authorization,
    envoy_filter,
    inbound,
    mesh,
    protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.authorization import PolicyEffect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_filter import Touch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import (
    PERMISSIVE,
    STRICT,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import (
    envoy_witness,
    outcome,
    testimony,
    witnesses,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.catalog import RULES
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.envoy_witness import EnvoySays
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    SEVERITY,
    UNKNOWN,
    Finding,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.testimony import Testimony
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.witnesses import Witness

# What EnvoyFilters may change, by index of the hop, and why they could not be read.
_Touches = tuple[dict[int, tuple[Touch, ...]], tuple[str, ...]]
_NO_TOUCHES: _Touches = ({}, ())
HEALTHY, INCONCLUSIVE = "healthy", "inconclusive"
PROVED, PREDICTED, CONTRADICTED = "proved", "predicted", "contradicted"


class Verdict(NamedTuple):
    """status     healthy, broken, at_risk or inconclusive
    code       of the finding that decides; "" for a healthy path
    summary    one sentence
    certainty  proved (Envoy and the logs both show what the configuration predicts), predicted (one of them is silent,
               or both), contradicted
    under      what the deciding hop does under STRICT and under PERMISSIVE, by mode
    witnesses  what configuration, Envoy and logs say about the hop that decides
    """

    status: str
    code: str
    summary: str
    certainty: str
    under: Mapping[str, str]
    witnesses: tuple[Witness, ...] = ()


class Judgement(NamedTuple):
    """findings: the deciding one first, then by severity and code. testimonies, envoys: by index of the hop."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    testimonies: Mapping[int, Testimony]
    envoys: Mapping[int, EnvoySays]


def judge(question: Question, snapshot: Snapshot, path: Path, prediction: bool = False) -> Judgement:
    """Raises NotReadError until the logs and policies that matter are read.

    prediction: the snapshot is one that a change would bring about, judged by Istio's own resources.
    """
    effects = _policy_effects(snapshot, path)
    # Where a hop is not sound, its Envoy or its logs make reading EnvoyFilters needless; else they tell which to hear.
    sound = all(outcome.of_hop(hop).kind == outcome.OK for hop in path.hops)
    touches, unread = _touches(snapshot, path) if sound and not prediction else _NO_TOUCHES
    envoys = _envoys(question, snapshot, path, touches)
    if question.thorough:
        snapshot.require(*envoy_filter.needs(path))
    testimonies = _testimonies(question, snapshot, path, touches)
    spoken = any(said.route for said in envoys.values()) or all(told.client for told in testimonies.values())
    if not sound and not prediction and not spoken:
        touches, unread = _touches(snapshot, path)
        testimonies = _testimonies(question, snapshot, path, touches)
    case = Case(
        path,
        testimonies,
        effects,
        _open_backend(snapshot, path),
        envoys,
        _admissions(snapshot, path, effects),
        touches,
        unread,
    )
    found = [finding for rule in RULES for finding in rule.check(case)]
    found.sort(
        key=lambda finding: (
            SEVERITY.index(finding.status),
            finding.hop if finding.hop >= 0 else len(path.hops),
            finding.code,
        )
    )
    return Judgement(_verdict(case, found), tuple(found), case.testimonies, case.envoys)


def _touches(snapshot: Snapshot, path: Path) -> _Touches:
    """Raises NotReadError."""
    needs = envoy_filter.needs(path)
    snapshot.require(*needs)
    filters, problems = mesh.collect(snapshot, needs)
    found = {index: envoy_filter.of_hop(path.mesh, hop, filters) for index, hop in enumerate(path.hops)}
    return {index: touches for index, touches in found.items() if touches}, tuple(problems)


def _testimonies(
    question: Question, snapshot: Snapshot, path: Path, touches: Mapping[int, tuple[Touch, ...]]
) -> dict[int, Testimony]:
    """The logs are read where a request fails or is exposed, or where an EnvoyFilter may change that.

    On a sound path the last hop stands for all: it carries every query.
    """
    suspect = [index for index, hop in enumerate(path.hops) if outcome.of_hop(hop).kind != outcome.OK]
    heard = sorted({*(suspect or [len(path.hops) - 1]), *touches})
    if question.read_logs:
        snapshot.require(*(need for index in heard for need in testimony.client_needs(path.hops[index])))
    return {index: testimony.hear(question, snapshot, path, path.hops[index]) for index in heard}


def _envoys(
    question: Question, snapshot: Snapshot, path: Path, touches: Mapping[int, tuple[Touch, ...]]
) -> dict[int, EnvoySays]:
    """Envoy is asked about one hop, so that the number of requests stays bounded: the first that fails, else the first
    that is exposed or cannot be told, else the first that an EnvoyFilter may change, else the last.
    """
    kinds = [outcome.of_hop(hop).kind for hop in path.hops]
    worst = next((kind for kind in (outcome.FAILS, outcome.EXPOSED, outcome.UNTOLD) if kind in kinds), None)
    index = kinds.index(worst) if worst else min(touches, default=len(path.hops) - 1)
    return {index: envoy_witness.hear(question, snapshot, path.hops[index])}


def _policy_effects(snapshot: Snapshot, path: Path) -> dict[int, tuple[PolicyEffect, ...]]:
    effects = {}
    for index, hop in enumerate(path.hops):
        _service, deciding_port = inbound.deciding(hop.step)
        if inbound.kind(deciding_port) != protocol.TCP or hop.step.server.mesh == "none":
            continue
        policies, problems = mesh.collect(snapshot, authorization.needs(path.mesh, hop.step.server))
        known = authorization.providers(path.mesh, snapshot, hop.step.server, policies)
        found = authorization.on_tcp(hop.step.server, policies, known)
        effects[index] = (*found, *(PolicyEffect(UNKNOWN, "", problem) for problem in problems))
    return effects


def _admissions(
    snapshot: Snapshot, path: Path, effects: Mapping[int, tuple[PolicyEffect, ...]]
) -> dict[int, PolicyEffect]:
    """What policies do to queries that arrive; where they deny everyone for being on TCP, that says enough."""
    found = {}
    for index, hop in enumerate(path.hops):
        denied = any(effect.effect == authorization.DENIES_ALL for effect in effects.get(index, ()))
        arrives = outcome.of_hop(hop).kind in (outcome.OK, outcome.EXPOSED)
        if denied or not arrives or hop.mode is None or hop.step.server.mesh != "sidecar":
            continue
        policies, problems = mesh.collect(snapshot, authorization.policy_needs(path.mesh, hop.step.server))
        if problems:
            found[index] = PolicyEffect(admission.UNTOLD, "", f"Whom policies let in cannot be told: {problems[0]}")
            continue
        known = authorization.providers(path.mesh, snapshot, hop.step.server, policies)
        if effect := admission.of_hop(path.mesh, hop, policies, known):
            found[index] = effect
    return found


def _open_backend(snapshot: Snapshot, path: Path) -> bool:
    """Whether the server that answers can be asked past the proxy that enforces a label; False where that is
    unknown.
    """
    server = path.hops[-1].step.server
    if server.mesh == "none" or not any(hop.step.relay.tenant_label for hop in path.hops):
        return False
    policies, problems = mesh.collect(snapshot, authorization.policy_needs(path.mesh, server))
    return not problems and not authorization.restricts(server, policies)


def _verdict(case: Case, found: list[Finding]) -> Verdict:
    worst = next((finding for finding in found if finding.status in (BROKEN, AT_RISK)), None)
    doubts = [finding for finding in found if finding.status == UNKNOWN]
    contradiction = next((finding for finding in doubts if finding.code == "QP901"), None)
    if contradiction is not None:
        return _about(case, contradiction, INCONCLUSIVE, CONTRADICTED)
    confirmed = worst is not None and witnesses.confirm(case, worst)
    if doubts and not confirmed:
        return _about(case, doubts[0], INCONCLUSIVE, PREDICTED)
    if worst is None:
        heard = witnesses.heard(case, next(iter(case.envoys)))
        certainty = PROVED if witnesses.agree(heard) else PREDICTED
        hops = " -> ".join([case.path.grafana.name, *(hop.step.server.name for hop in case.path.hops)])
        summary = f"Queries pass from {hops}, and every hop between sidecars is mTLS."
        return Verdict(HEALTHY, "", summary, certainty, {}, heard)
    return _about(case, worst, worst.status, PROVED if witnesses.prove(case, worst) else PREDICTED)


def _about(case: Case, decides: Finding, status: str, certainty: str) -> Verdict:
    heard = witnesses.heard(case, decides.hop) if decides.hop >= 0 else ()
    return Verdict(status, decides.code, decides.summary, certainty, _under(case, decides), heard)


def _under(case: Case, finding: Finding) -> dict[str, str]:
    if finding.hop < 0:
        return {}
    hop = case.path.hops[finding.hop]
    return {mode: outcome.under(hop, mode).text for mode in (STRICT, PERMISSIVE)}
