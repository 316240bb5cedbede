# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule says about a path."""

from __future__ import annotations

from typing import NamedTuple

BROKEN, AT_RISK, NOTICE, UNKNOWN = "broken", "at_risk", "notice", "unknown"
# Worst first; what decides the headline.
SEVERITY = (BROKEN, AT_RISK, UNKNOWN, NOTICE)


class Rule(NamedTuple):
    """A pattern that breaks query paths. The texts become docs/rules/<code>.md.

    code      QPnnn, stable for ever and never reused
    title     the pattern, so that "no <title>" reads well
    pattern   how it looks in configuration
    why       why it breaks
    evidence  what to look for, in which log or object
    fix       what cures it, and what does not
    source    files, URLs or measured rows that the rule rests on
    """

    code: str
    title: str
    pattern: str
    why: str
    evidence: str
    fix: str
    source: str


class Finding(NamedTuple):
    """status: broken (queries fail now), at_risk (they pass, but would fail or are unprotected), unknown, notice.

    where: the hop or object, e.g. `prom-label-proxy -> prometheus:9090`. hop: its index on the path, -1 for the whole
    path.
    """

    code: str
    status: str
    where: str
    summary: str
    evidence: tuple[str, ...]
    hop: int = -1
