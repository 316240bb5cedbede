# SPDX-License-Identifier: GPL-3.0-or-later
"""The passage of time, replaceable in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """now: seconds that never go back. sleep: wait so many seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL_CLOCK = Clock()
