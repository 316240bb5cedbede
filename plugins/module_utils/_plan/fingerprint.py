# SPDX-License-Identifier: GPL-3.0-or-later
"""A name for exactly one plan on exactly the objects that it was made for, and what of it is another one now.

`<16 hex digits>-<2 hex digits of every part>`. All of it has to be equal for a plan to be the approved one; the pairs
only tell in which part two plans differ, so whoever approved a plan needs to keep nothing but its name.
What else the cluster holds is no part of it: each guard judges that anew before every run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import (
    CREATE,
    Change,
    anchors,
    as_text,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Effect, Remedy

_GATE, _PAIR = 16, 2


class Part(NamedTuple):
    """data: what the part consists of. now: how it is now, in words. cause: it is not just a consequence of others."""

    data: Any
    now: str
    cause: bool = True


def plan_hash(
    path_id: str, strategy: str, protocol: str, changes: tuple[Change, ...], effects: tuple[Effect, ...]
) -> str:
    """The name of a plan; versions that only count writes play no part."""
    parts = [[path_id, strategy, protocol], *(part.data for part in _parts(changes, effects))]
    return f"{_digest(parts)[:_GATE]}-{''.join(_digest(part)[:_PAIR] for part in parts)}"


def drift(remedy: Remedy, approved: str) -> str:
    """In what a remedy differs from the plan that was approved; "" where that was for another fix or path."""
    was, now = _pairs(approved), _pairs(remedy.hash)
    if was[:1] != now[:1]:
        return ""
    parts = list(_parts(remedy.changes, remedy.effects))
    if len(was) != len(now):
        return f"it consists of other changes, which are now: {', '.join(part.now for part in parts)}"
    moved = [part for part, old, new in zip(parts, was[1:], now[1:], strict=True) if old != new]
    causes = [part for part in moved if part.cause] or moved
    return "; ".join(part.now for part in causes) or "in what, its hash does not tell"


def _parts(changes: tuple[Change, ...], effects: tuple[Effect, ...]) -> Iterator[Part]:
    for change in changes:
        target = change.target
        if change.action != CREATE:
            yield Part(target.uid, f"{target} is another object, now with uid {target.uid}")
        for field, value in change.before.items():
            yield Part(value, f"{target}: {field} has changed, now it is {as_text(value)}")
        written = [change.action, *target[:4], anchors(change), change.after, change.body]
        yield Part(written, f"what would be written to {target}, now {as_text(change.after)}", cause=False)
    tokens = sorted(effect.token for effect in effects)
    yield Part(tokens, f"what else it does, now {', '.join(tokens) or 'nothing'}")


def _pairs(name: str) -> list[str]:
    text = name.partition("-")[2]
    return [text[start : start + _PAIR] for start in range(0, len(text), _PAIR)]


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
