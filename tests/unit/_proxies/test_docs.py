# SPDX-License-Identifier: GPL-3.0-or-later
"""The table for users names every kind that the catalogue knows."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import unread
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.catalog import KINDS


def rows(repository_root: Path) -> set[str]:
    """The first cells of all tables in docs/proxies.md."""
    text = (repository_root / "docs" / "proxies.md").read_text(encoding="utf-8")
    return {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}


def test_every_kind_has_a_row(repository_root: Path) -> None:
    named = {getattr(kind, "KIND", "") for kind in KINDS} - {""}
    named |= {known.kind for known in unread.KNOWN}
    missing = [name for name in sorted(named) if not any(row.startswith(name) for row in rows(repository_root))]
    assert missing == []
    assert len(named) > 20
