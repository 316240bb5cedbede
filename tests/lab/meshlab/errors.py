# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that the lab raises on purpose."""

from __future__ import annotations


class LabError(Exception):
    """What went wrong, where, and what to do, in one sentence for the person at the terminal."""
