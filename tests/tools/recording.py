# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps what the checks print, so that the reasons of failures can be shown once more at the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What tells why: Ansible's failed tasks, the lab's wrong worlds, errors of programs, pytest's last lines.
TELLING = re.compile(r"^(fatal:|failed:|wrong|error|FAILED|E  |\s+It says|\S+: error)|\berror:|misses:|another one")
LINES, WIDTH = 6, 1500


@contextmanager
def recorded(path: Path) -> Iterator[None]:
    """Write what this process and its children print into ``path`` too; on a terminal do nothing, for people see it."""
    if sys.stdout.isatty():
        yield
        return
    sys.stdout.flush()
    before = [os.dup(number) for number in (1, 2)]
    with subprocess.Popen(["tee", path], stdin=subprocess.PIPE, start_new_session=True) as tee:
        assert tee.stdin is not None
        for number in (1, 2):
            os.dup2(tee.stdin.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            for number, kept in zip((1, 2), before, strict=True):
                os.dup2(kept, number)
                os.close(kept)


def reasons(recording: str, title: str) -> list[str]:
    """Return the last telling lines that a step printed, or its last lines where none tells; each cut to WIDTH."""
    _before, _headline, rest = recording.partition(f"== {title}\n")
    printed = [line for line in rest.partition(f"== {title}: ")[0].splitlines() if line.strip()]
    telling = [line for line in printed if TELLING.search(line)]
    return [line[:WIDTH] for line in (telling or printed)[-LINES:]]
