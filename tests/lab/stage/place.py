# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the stage stands. Worlds are written for one namespace; in another one they can be played beside it."""

from __future__ import annotations

import os
import re

WRITTEN_FOR = "monitoring"
VARIABLE = "MESHOPS_STAGE_NAMESPACE"
NAMESPACE = os.environ.get(VARIABLE, WRITTEN_FOR)
# The namespace's name, also within a host name, whose case plays no part.
WORD = re.compile(rf"\b{WRITTEN_FOR}\b", re.IGNORECASE)


def spaces(lanes: int) -> list[str]:
    """Return the namespaces of so many lanes, that of this stage first."""
    return [NAMESPACE, *(f"{NAMESPACE}-{lane}" for lane in range(2, lanes + 1))]


def here(text: str) -> str:
    """Return what was written for one namespace as it is in that of this stage."""
    return WORD.sub(NAMESPACE, text)
