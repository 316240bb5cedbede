# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress lines: what is going on, and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def say(line: str) -> None:
    """Print one line at once, also into a pipe."""
    print(line, flush=True)


@contextmanager
def step(what: str) -> Iterator[Callable[[str], None]]:
    """Print ``<what> … <seconds>`` as one line around a piece of work.

    The value is a function that replaces the time by a word, such as ``cached``. When the work fails the
    line ends with ``failed`` and the exception goes on.
    """
    result: list[str] = []
    started = time.monotonic()
    sys.stdout.write(f"{what} … ")
    sys.stdout.flush()
    try:
        yield result.append
    except BaseException:
        say("failed")
        raise
    say(result[-1] if result else seconds(time.monotonic() - started))


def seconds(duration: float) -> str:
    """Return a duration for people: ``0.3 s``, ``312 s``."""
    return f"{duration:.1f} s" if duration < 10 else f"{duration:.0f} s"
