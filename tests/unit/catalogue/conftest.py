# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Python packages lie below tests/lab."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))
