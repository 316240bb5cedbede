# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Python package lies below tests/lab."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from meshlab.settings import Folders


@pytest.fixture
def lab_folders(tmp_path: Path) -> Folders:
    """Folders of a lab that is not running."""
    return Folders(cache=tmp_path / "cache", state=tmp_path / "state")
