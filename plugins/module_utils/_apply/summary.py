# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes as a module returns them: only the fields that we own, the same in check mode and in a real run."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import CREATE, DELETE, Change


def plain(change: Change) -> dict[str, Any]:
    """One entry of `changes`."""
    return {
        "action": change.action,
        "target": str(change.target),
        "before": change.before,
        "after": change.after,
        "why": change.why,
    }


def diff(change: Change) -> dict[str, Any]:
    """One entry of Ansible's `diff`."""
    name = str(change.target)
    return {"before_header": name, "after_header": name, "before": change.before, "after": change.after}


def backwards(change: Change) -> Change:
    """The change as it looks when it is taken back; for people, not for the API server."""
    action = DELETE if change.action == CREATE else change.action
    return change._replace(action=action, before=change.after, after=change.before)
