# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces of the cluster."""

from __future__ import annotations

from meshlab import waiting
from meshlab.api import Api

PATIENCE = 60.0


def clean(api: Api, name: str) -> None:
    """Delete the namespace *name*, if it is there, and wait until nothing of it is left. Raises LabError."""
    path = f"/api/v1/namespaces/{name}"
    if not api.exists(path):
        return
    api.request("DELETE", path)

    def gone() -> bool:
        return not api.exists(path)

    waiting.until(gone, f"the end of namespace {name}", PATIENCE, why=lambda: what_holds(api, path), pause=0.2)


def what_holds(api: Api, path: str) -> str:
    """Return what the namespace controller says about content that it could not delete yet."""
    namespace = api.get_or_none(path) or {}
    conditions = namespace.get("status", {}).get("conditions", [])
    return "; ".join(condition["message"] for condition in conditions if condition["status"] == "True")
