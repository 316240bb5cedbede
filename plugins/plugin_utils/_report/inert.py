# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that came from a cluster, made harmless: it neither moves a terminal's cursor nor fills the screen."""

from __future__ import annotations

MAX_LENGTH = 700


def inert(value: object) -> str:
    """Return ``value`` as one line of printable ASCII, cut after MAX_LENGTH characters.

    Whitespace becomes a blank. Everything else that is no printable ASCII is written as a Python escape: control
    sequences, but also letters that only look like ASCII and marks that turn the direction of writing.
    """
    text = str(value)
    left_out = len(text) - MAX_LENGTH
    if left_out > 0:
        text = f"{text[:MAX_LENGTH]}... ({left_out} more characters)"
    words = " ".join(text.split())
    return "".join(character if " " <= character <= "~" else ascii(character)[1:-1] for character in words)
