# SPDX-License-Identifier: GPL-3.0-or-later
"""What the three witnesses say about a hop, side by side: configuration, Envoy, access logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import admission, authorization
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_filter import Touch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import envoy_witness, outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, log_evidence
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import BROKEN, Finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.testimony import Testimony

DENIALS = frozenset(
    {
        *(authorization.DENIES_ALL, authorization.DENIES_MORE, authorization.UNTOLD),
        *(admission.DENIES_CALLER, admission.DENIES_SOME, admission.MAY_DENY),
    }
)
AGREES, DIFFERS, SILENT = "agrees", "differs", "silent"


class Witness(NamedTuple):
    """name: configuration, envoy or logs. says: for people.

    stance: agrees (with the configuration), differs, or silent (it does not say, or was not asked; `says` tells why)
    """

    name: str
    says: str
    stance: str


def contradictions(case: Case, index: int) -> dict[str, str]:
    """By name of the witness: how it differs from the configuration about a hop, as a sentence."""
    hop, found = case.path.hops[index], {}
    said, told = case.envoys.get(index), case.testimonies.get(index)
    if said is not None and (differs := envoy_witness.contradictions(hop, said)):
        found["envoy"] = f"{differs[0]}."
    effects = [*case.policy_effects.get(index, ()), *filter(None, [case.admissions.get(index)])]
    denials = {effect.effect for effect in effects} & DENIALS
    if told is not None and (text := _against_logs(hop, told, bool(denials))):
        found["logs"] = text
    return found


def _against_logs(hop: Hop, told: Testimony, denied: bool) -> str:
    """denied: policies turn some or all requests away, so that a failure is no surprise."""
    predicted = outcome.of_hop(hop)
    if told.client is None or predicted.kind == outcome.UNTOLD:
        return ""
    if told.route != hop.route.kind:
        return f"Configuration says {hop.route.kind} ({hop.route.why}); the newest request took another way."
    if predicted.kind != outcome.FAILS and told.failed and not denied:
        return f"Configuration says {predicted.text}; yet the newest request failed in the mesh."
    if predicted.kind == outcome.FAILS and not told.failed and hop.route.kind in ("service", "passthrough"):
        return f"Configuration says: {predicted.text}; yet the newest request passed."
    return ""


def heard(case: Case, index: int) -> tuple[Witness, ...]:
    """The three witnesses about a hop."""
    hop, contradicting = case.path.hops[index], contradictions(case, index)
    said = case.envoys.get(index)
    told = case.testimonies.get(index)
    route = f"{hop.route.kind} by {hop.route.listener or 'no listener'}, {hop.transport.mode}"
    mode = f"{hop.mode.mode}" if hop.mode else "no sidecar"
    configuration = Witness("configuration", f"{route}; server: {mode}; {outcome.of_hop(hop).text}", AGREES)
    if said is None:
        envoy = Witness("envoy", "was not asked about this hop", SILENT)
    else:
        text = "; ".join(envoy_witness.describe(hop, said))
        envoy = Witness("envoy", text, _stance(envoy_witness.agrees(hop, said), "envoy" in contradicting))
    lines = "; ".join(log_evidence(case, index)) or "were not asked about this hop"
    agrees = told is not None and _logs_agree(hop, told)
    return configuration, envoy, Witness("logs", lines, _stance(agrees, "logs" in contradicting))


def _logs_agree(hop: Hop, told: Testimony) -> bool:
    return told.client is not None and told.route == hop.route.kind


def _stance(agrees: bool, differs: bool) -> str:
    return DIFFERS if differs else AGREES if agrees else SILENT


def settles(case: Case, index: int, touch: Touch) -> bool:
    """Whether a witness shows that an EnvoyFilter leaves the prediction for a hop as it is."""
    hop, said = case.path.hops[index], case.envoys.get(index)
    told = case.testimonies.get(index)
    logs = told is not None and _logs_agree(hop, told) and "logs" not in contradictions(case, index)
    if touch.shown:
        return logs or (said is not None and envoy_witness.agrees(hop, said))
    return logs and told is not None and not told.failed


def confirm(case: Case, worst: Finding) -> bool:
    """Whether Envoy or the newest log line shows the very route and result that a finding predicts."""
    return worst.hop >= 0 and (_logs_confirm(case, worst) or _envoy_confirms(case, worst))


def _logs_confirm(case: Case, worst: Finding) -> bool:
    told = case.testimonies.get(worst.hop)
    if told is None or told.client is None or told.route != case.path.hops[worst.hop].route.kind:
        return False
    return told.failed or worst.status != BROKEN or told.route not in ("service", "passthrough")


def _envoy_confirms(case: Case, worst: Finding) -> bool:
    said, hop = case.envoys.get(worst.hop), case.path.hops[worst.hop]
    if said is None or not envoy_witness.agrees(hop, said):
        return False
    # A request that would arrive is turned away by policies alone.
    sound = outcome.of_hop(hop).kind in (outcome.OK, outcome.EXPOSED)
    return worst.status != BROKEN or not sound or envoy_witness.denies_all(said)


def prove(case: Case, worst: Finding) -> bool:
    """Whether all three witnesses show what a finding predicts."""
    said = case.envoys.get(worst.hop)
    denied = any(effect.effect == authorization.DENIES_ALL for effect in case.policy_effects.get(worst.hop, ()))
    shown = not denied or (said is not None and envoy_witness.denies_all(said))
    return shown and confirm(case, worst) and agree(heard(case, worst.hop))


def agree(heard_about_a_hop: Iterable[Witness]) -> bool:
    """Whether all three witnesses speak about a hop, and say the same."""
    return all(witness.stance == AGREES for witness in heard_about_a_hop)
