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


def no_duty() -> None:
    """What is to be done before every write and while waiting, where nothing is."""


def with_duty(clock: Clock, duty: Callable[[], None]) -> Clock:
    """A clock on which waiting does not keep anyone from a duty."""

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        duty()

    return Clock(clock.now, sleep)
