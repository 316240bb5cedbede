# SPDX-License-Identifier: GPL-3.0-or-later
"""A way to cure a path: whether it works here, what it changes, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.at_owner import AtOwner
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import Finding

HOST_CODES = ("QP101", "QP102", "QP103", "QP104")
HTTP_1_0_CODE = "QP107"


class Effect(NamedTuple):
    """Something that a fix does besides curing the path.

    effect         restarts, loses_l7, denies_all, bypassed, reverted_by, …
    object         `Kind/namespace/name`
    text           one sentence for people
    needs_consent  the fix is refused unless the user accepts `token`
    """

    effect: str
    object: str
    text: str
    needs_consent: bool = False

    @property
    def token(self) -> str:
        return f"{self.effect}:{self.object}"


class Proposal(NamedTuple):
    """What a strategy says about a path. refusal: why it does not apply, as a sentence; "" where it does."""

    refusal: str = ""
    changes: tuple[Change, ...] = ()
    effects: tuple[Effect, ...] = ()


class Options(NamedTuple):
    """annotate: also write the annotation that Istio does not read (service_protocol), for tools that look for it."""

    annotate: bool = False


class Ill(NamedTuple):
    """What is to be cured. findings: the broken and at_risk ones; options: the user's."""

    path: Path
    findings: tuple[Finding, ...]
    snapshot: Snapshot
    options: Options

    def hops(self, codes: tuple[str, ...]) -> list[tuple[int, Hop]]:
        """The hops, with their indexes, that have a finding with one of these codes."""
        ill = {finding.hop for finding in self.findings if finding.code in codes}
        return [(index, hop) for index, hop in enumerate(self.path.hops) if index in ill]


# A strategy looks at what is ill and proposes. It raises NotReadError for what it needs to see.
Strategy = Callable[[Ill], Proposal]


class Remedy(NamedTuple):
    """strategy, protocol   what to ask query_path_remediation for; protocol is "" but for service_protocol
    applicable           the fix was tried on the snapshot: the finding is gone and no new one has come
    reason               why it is not applicable, or what it does
    hash                 of path, changes, uids and effects: the same plan on the same objects has the same hash
    at_owner             what to do where an owner takes the changes back; then it is not applicable but for force
    """

    strategy: str
    protocol: str
    applicable: bool
    reason: str
    effects: tuple[Effect, ...]
    changes: tuple[Change, ...]
    hash: str
    at_owner: tuple[AtOwner, ...] = ()

    @property
    def forceable(self) -> bool:
        """Whether only that an owner takes it back speaks against it."""
        return self.applicable or bool(self.at_owner)

    @property
    def consent_needed(self) -> tuple[str, ...]:
        return tuple(effect.token for effect in self.effects if effect.needs_consent)
