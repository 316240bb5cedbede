# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of a diagnosis, pure: snapshot -> path -> verdict -> remedies."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.walk import walk
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import engine as plan_engine
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Ill, Options, Remedy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.catalog import recognise
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import engine as verdict_engine
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.engine import Judgement
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import AT_RISK, BROKEN


class Diagnosis(NamedTuple):
    """remedies: empty where nothing is broken or at risk."""

    question: Question
    path: Path
    judgement: Judgement
    remedies: tuple[Remedy, ...]


def diagnose(question: Question, snapshot: Snapshot, options: Options | None = None) -> Diagnosis:
    """Raises NotReadError until all that decides is read, InputError where the question cannot be answered."""
    path = walk(question, snapshot, recognise)
    judgement = verdict_engine.judge(question, snapshot, path)
    ill = tuple(finding for finding in judgement.findings if finding.status in (BROKEN, AT_RISK))
    if not ill:
        return Diagnosis(question, path, judgement, ())
    # A prediction has no logs yet, and no sidecar has it.
    predicted = question._replace(read_logs=False, read_envoy=False)

    def state_of(after: Snapshot) -> State:
        walked = walk(predicted, after, recognise)
        return State(after, walked, verdict_engine.judge(predicted, after, walked).findings)

    case = Ill(path, ill, snapshot, options or Options())
    return Diagnosis(question, path, judgement, plan_engine.remedies(case, question.path_id, state_of))
