# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations that nobody reads, and policies on a TCP port: every pattern beside its healthy look-alike."""

from __future__ import annotations

import pytest
from variations import METHODS, PRINCIPALS, Change, expect, policy
from world import istio

# name: what differs from the stack, expected status, expected code
CASES: dict[str, tuple[Change, str, str]] = {
    "annotation alone": (
        lambda w: w.get("Service", "prometheus")["metadata"].update(
            annotations={"networking.istio.io/service-protocol": "tcp"}
        ),
        "broken",
        "QP101",
    ),
    "HTTP-only ALLOW policy on TCP": (policy("ALLOW", METHODS), "broken", "QP501"),
    "HTTP-only DENY policy on TCP": (policy("DENY", METHODS), "broken", "QP501"),
    "DENY policy on TCP that keeps a source": (policy("DENY", {**METHODS, **PRINCIPALS}), "at_risk", "QP501"),
    "CUSTOM policy on TCP": (policy("CUSTOM", METHODS), "at_risk", "QP501"),
    "L4 ALLOW policy on TCP": (policy("ALLOW", PRINCIPALS), "healthy", ""),
    "HTTP-only policy of another workload": (
        lambda w: w.port("prometheus", appProtocol="tcp").add(
            istio("AuthorizationPolicy", "az", {"selector": {"matchLabels": {"app": "x"}}, "rules": [METHODS]})
        ),
        "healthy",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_path_is_judged_as_istio_treats_it(name: str) -> None:
    expect(*CASES[name])
