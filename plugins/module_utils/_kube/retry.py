# SPDX-License-Identifier: GPL-3.0-or-later
"""When a request is asked again, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Mapping

# 429: API Priority and Fairness turned the request away before it was looked at. 500 to 504: the next try may reach
# another server.
TRANSIENT = frozenset({429, 500, 502, 503, 504})
TRIES = 5
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 4.0


def pause(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds to wait after the `attempt`-th failure (from 0): what `Retry-After` says, else growing with jitter."""
    asked = headers.get("retry-after", "")
    if asked.isdigit():
        return float(asked)
    longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
    # Half fixed, half random: many tasks that failed together do not come back together.
    return longest / 2 + random.uniform(0, longest / 2)
