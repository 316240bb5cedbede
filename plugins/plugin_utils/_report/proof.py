# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about a proof: the result in one sentence, then each promise that was tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Heading,
    Item,
    Sentence,
)


def report(result: Mapping[str, Any]) -> list[Block]:
    """Return the report on what ``query_path_probe`` returned."""
    blocks: list[Block] = [Sentence(f"{str(result['result']).upper()}: {result['msg']}", strong=True)]
    if result["checks"]:
        blocks.append(Heading("What was tested"))
        blocks += [Item(f"{check['result']}: {check['name']}: {check['text']}") for check in result["checks"]]
    return blocks
