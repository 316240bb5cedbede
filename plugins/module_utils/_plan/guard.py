# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guard sees and says. A guard keeps one promise; it judges plan and predicted state, and knows no strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.at_owner import AtOwner
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding


class State(NamedTuple):
    """The path as it is, or as it is predicted. findings: all of them, from configuration alone.

    filters_later: EnvoyFilters are not listed for hops as they will be; the run that applies a fix does so.
    """

    snapshot: Snapshot
    path: Path
    findings: tuple[Finding, ...]
    filters_later: bool = False


class Objection(NamedTuple):
    """refusal: why the plan must not be carried out, as a sentence; or effect: what it does, for the user to know or to
    consent to; or later: what is judged only when the plan is carried out, as a sentence. One of the three is given.

    at_owner: with an effect that someone takes back: what to do instead. The plan is refused unless that is forced.
    """

    refusal: str = ""
    effect: Effect | None = None
    later: str = ""
    at_owner: AtOwner | None = None


Guard = Callable[[State, State, tuple[Change, ...]], Iterator[Objection]]
