# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab.settings import folders


@pytest.mark.parametrize(
    ("environment", "cache", "state"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/meshops-lab", "/var/tmp/meshops-lab"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/c"}, "/c/meshops-lab", "/var/tmp/meshops-lab"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": ""}, "/home/a/.cache/meshops-lab", "/var/tmp/meshops-lab"),
        ({"MESHOPS_LAB_CACHE": "/x", "MESHOPS_LAB_STATE": "/y", "XDG_CACHE_HOME": "/c"}, "/x", "/y"),
    ],
)
def test_the_environment_selects_the_folders(environment: dict[str, str], cache: str, state: str) -> None:
    assert folders(environment) == (Path(cache), Path(state))
