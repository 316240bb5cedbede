# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of a diagnosis: snapshot -> path -> verdict -> remedies, for one data source or for several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    datasources,
    discovery,
    envoy_filter,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import DataSource, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.walk import walk
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import engine as plan_engine
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Ill, Options, Remedy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.catalog import recognise
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader, collect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import engine as verdict_engine
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.engine import Judgement
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import AT_RISK, BROKEN

# More than that is another question than "why is this path broken", and a report that nobody reads.
MAX_PATHS = 20
DEFAULT_OPTIONS = Options()


class Diagnosis(NamedTuple):
    """remedies: empty where nothing is broken or at risk."""

    question: Question
    path: Path
    judgement: Judgement
    remedies: tuple[Remedy, ...]


class Unanswered(NamedTuple):
    """A data source whose path cannot be followed. why: one sentence."""

    datasource: DataSource
    why: str


def diagnose(question: Question, snapshot: Snapshot, options: Options = DEFAULT_OPTIONS) -> Diagnosis:
    """Raises NotReadError until all that decides is read, InputError where the question cannot be answered."""
    path = walk(question, snapshot, recognise)
    judgement = verdict_engine.judge(question, snapshot, path)
    ill = tuple(finding for finding in judgement.findings if finding.status in (BROKEN, AT_RISK))
    if not ill:
        return Diagnosis(question, path, judgement, ())
    # A prediction has no logs yet, and no sidecar has it.
    predicted = question._replace(read_logs=False, read_envoy=False)

    # Envoy has told of the hop as it is; a diagnosis that is not thorough does not list what may change it later.
    known = set(snapshot.answers())
    spoken = any(said.route for said in judgement.envoys.values())
    later = spoken and not known.issuperset(need.key for need in envoy_filter.needs(path))

    # Every plan is compared with the state as it is.
    @cache
    def state_of(after: Snapshot) -> State:
        walked = walk(predicted, after, recognise)
        return State(after, walked, verdict_engine.judge(predicted, after, walked, prediction=True).findings, later)

    case = Ill(path, ill, snapshot, options)
    return Diagnosis(question, path, judgement, plan_engine.remedies(case, question.path_id, state_of))


def diagnose_each(
    question: Question, reader: Reader, uids: Sequence[str] = ()
) -> tuple[list[Diagnosis | Unanswered], tuple[str, ...], Snapshot]:
    """The paths of several data sources of one Grafana, what they share read once; and why there may be more sources.

    uids: by which to choose; () = all of type prometheus. Raises InputError where no path can be looked for, and
    whatever the reader raises.
    """
    (sources, problems), snapshot = collect(reader, lambda known: _sources(question, known, uids))
    if len(sources) > MAX_PATHS:
        raise InputError(
            f"{len(sources)} data sources are more than the {MAX_PATHS} of one run; choose by datasource_uids."
        )
    results: list[Diagnosis | Unanswered] = []
    for source in sources:
        asked = question._replace(datasource_uid=source.handle)
        result, snapshot = collect(reader, partial(_attempt, asked, source), snapshot)
        results.append(result)
    return results, problems, snapshot


def _sources(
    question: Question, snapshot: Snapshot, uids: Sequence[str]
) -> tuple[tuple[DataSource, ...], tuple[str, ...]]:
    grafana = discovery.grafana(question, snapshot)
    if uids:
        return tuple(DataSource(uid, "", "", "", "") for uid in dict.fromkeys(uids)), ()
    return datasources.every(question, snapshot, grafana)


def _attempt(question: Question, source: DataSource, snapshot: Snapshot) -> Diagnosis | Unanswered:
    try:
        return diagnose(question, snapshot)
    except InputError as error:
        return Unanswered(source, str(error))
