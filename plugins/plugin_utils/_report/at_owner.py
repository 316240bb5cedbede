# SPDX-License-Identifier: GPL-3.0-or-later
"""What to paste where an object's owner gets it from, because the owner may take a change of the live object back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Heading,
    Sentence,
    Snippet,
)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, so that no line is longer than what stands in it."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def blocks(entries: Iterable[Mapping[str, Any]]) -> list[Block]:
    """Return one section for each of the entries, the same one once.

    :param entries: ``at_owner`` of remedies (docs/contract.md).
    """
    shown: list[Block] = []
    told: list[Mapping[str, Any]] = []
    for entry in entries:
        if entry in told:
            continue
        told.append(entry)
        shown += [Heading(f"{entry['object']}, where its owner {entry['owner']} gets it from"), Sentence(entry["how"])]
        if entry["content"]:
            # Ansible's values are subclasses of str and dict, which YAML does not know.
            plain = json.loads(json.dumps(entry["content"]))
            # ASCII alone, so that what is made inert is still the same YAML.
            text = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=10_000)
            shown.append(Snippet(tuple(text.splitlines())))
    return shown
