# SPDX-License-Identifier: GPL-3.0-or-later
"""Never a fix that does not cure, or that makes another thing ill."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Objection, State
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    AT_RISK,
    BROKEN,
    UNKNOWN,
)

# A policy that changes its meaning is the subject of a guard of its own, which asks for consent.
_CONSENTED = "QP501"


def check(before: State, after: State, _changes: tuple[Change, ...]) -> Iterator[Objection]:
    known = {(finding.code, finding.hop) for finding in before.findings}
    for finding in after.findings:
        named = f"{finding.code} on {finding.where}: {finding.summary}"
        new = (finding.code, finding.hop) not in known and finding.code != _CONSENTED
        if finding.status in (BROKEN, AT_RISK) and not new and finding.code != _CONSENTED:
            yield Objection(f"It would leave {named}")
        elif finding.status in (BROKEN, AT_RISK, UNKNOWN) and new:
            yield Objection(f"It would bring {named}")
