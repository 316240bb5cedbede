# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about a fix that was applied, tried, or taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report import at_owner, command
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Command,
    Heading,
    Item,
    Sentence,
)

_ABSENT = "(nothing)"


def report(result: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    """Return the report on what ``query_path_remediation`` returned.

    :param question: variables that the playbooks take, as the user gave them; they go into the next command.
    """
    blocks: list[Block] = [Sentence(result["msg"], strong=True)]
    if result["changes"]:
        blocks += [Heading("Changes"), *_changes(result["changes"])]
    blocks += at_owner.blocks(result.get("at_owner", []))
    effects = result.get("effects", [])
    if effects:
        blocks += [Heading("What else follows"), *(Item(effect["text"]) for effect in effects)]
    if result.get("run") and "restored" not in result:
        blocks += [
            Heading(f"To take it back (recorded as {result['run']})"),
            Command(command.playbook("rollback", question)),
        ]
    return blocks


def _changes(changes: list[Mapping[str, Any]]) -> Iterator[Item]:
    for change in changes:
        yield Item(f"{change['action']} {change['target']}: {change['why']}")
        before, after = change["before"], change["after"]
        for field in [*before, *(name for name in after if name not in before)]:
            yield Item(f"{field}: {_difference(before.get(field), after.get(field))}", level=1)


def _difference(old: Any, new: Any) -> str:
    """Return what becomes of a value; of a list only the entries that come and go."""
    if isinstance(old, list) and isinstance(new, list):
        gone = [f"without {flow(entry)}" for entry in old if entry not in new]
        come = [f"with {flow(entry)}" for entry in new if entry not in old]
        return ", ".join([*gone, *come]) or "in another order"
    return f"{flow(old)} -> {flow(new)}"


def flow(value: Any) -> str:
    """Return a value on one line, like YAML but without quotes: for people, not for programs."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return _ABSENT if value is None else str(value)
