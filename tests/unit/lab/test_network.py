# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab removes of the machine's named network namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab import network


def test_our_namespaces_and_then_the_empty_folder_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "netns"
    names.mkdir()
    (names / "meshlab-node").touch()
    monkeypatch.setattr(network, "NAMED_NAMESPACES", names)
    network.delete()
    assert not names.exists()
    network.delete()


def test_a_namespace_of_somebody_else_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("meshlab-node", "mine"):
        (tmp_path / name).touch()
    monkeypatch.setattr(network, "NAMED_NAMESPACES", tmp_path)
    network.delete()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
