# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that decides the path could not be read or is not understood."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import UNKNOWN, Finding, Rule

RULE = Rule(
    code="QP902",
    title="configuration that could not be read or is not understood",
    pattern="A list was refused (403) or cut, or a resource uses a feature that this diagnosis does not model.",
    why="A resource that was not seen could change the route or the TLS settings. Unknown is not OK.",
    evidence="The request that failed and its reason, or the resource and the feature.",
    fix="Grant the missing read access (`docs/access.md` says how), then ask again.",
    source="CONTRIBUTING.md, laws of this collection.",
)


def check(case: Case) -> Iterator[Finding]:
    if case.path.unknown:
        others = len(case.path.unknown) - 1
        more = f" (and {others} more)" if others else ""
        summary = f"What decides the path could not be read{more}: {case.path.unknown[0]}."
        yield Finding(RULE.code, UNKNOWN, "the mesh's configuration", summary, case.path.unknown)
    for index, hop in enumerate(case.path.hops):
        predicted = outcome.of_hop(hop)
        if predicted.kind == outcome.UNTOLD or hop.unknown:
            reasons = (*hop.unknown, *((predicted.text,) if predicted.kind == outcome.UNTOLD else ()))
            yield Finding(
                RULE.code, UNKNOWN, hop_name(hop), f"This hop cannot be judged: {reasons[0]}.", reasons, index
            )
