# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the mesh configuration of a running lab: ConfigMap ``istio`` in namespace ``istio-system``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from meshlab import istiod, waiting
from meshlab.api import MERGE, Api
from meshlab.errors import LabError
from meshlab.settings import Folders

CONFIG_MAP = f"/api/v1/namespaces/{istiod.NAMESPACE}/configmaps/istio"
PATIENCE = 20.0
NOT_TAKEN = "istiod ignores a setting that it does not know; what it refuses is in its log (logs/istiod.log)"

ZERO_ENUMS = ("TEXT", "REGISTRY_ONLY")
"""First values of enumerations, which protobuf's JSON leaves out: accessLogEncoding and outboundTrafficPolicy.mode
(istio.io/api mesh/v1alpha1/config.proto)."""

Config = dict[str, Any]
Assignment = tuple[list[str], Any]


def parse_assignments(arguments: Iterable[str]) -> list[Assignment]:
    """Parse ``outboundTrafficPolicy.mode=REGISTRY_ONLY`` to (["outboundTrafficPolicy", "mode"], "REGISTRY_ONLY").

    Values are YAML, so ``false`` is a boolean. Raises LabError for an argument without a key or ``=``.
    """
    assignments = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        path = key.split(".")
        if not equals or not all(path):
            raise LabError(f"'{argument}' is not of the form KEY=VALUE, such as enableAutoMtls=false.")
        try:
            assignments.append((path, yaml.safe_load(text)))
        except yaml.YAMLError:
            raise LabError(f"The value in '{argument}' is not YAML; quote it.") from None
    return assignments


def assign(config: Config, path: list[str], value: Any) -> Config:
    """Return *config* with *value* at *path*; the original stays as it is."""
    first, rest = path[0], path[1:]
    if not rest:
        return {**config, first: value}
    inner = config.get(first)
    return {**config, first: assign(inner if isinstance(inner, dict) else {}, rest, value)}


def shows(effective: Config, path: list[str], value: Any) -> bool:
    """Tell whether istiod's *effective* configuration has *value* at *path*.

    istiod adds entries of its own to a list.
    """
    found: Any = effective
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if found is None:
        return not value or value in ZERO_ENUMS
    if isinstance(found, list) and isinstance(value, list):
        return all(entry in found for entry in value)
    return bool(found == value)


def change(api: Api, arguments: Iterable[str]) -> None:
    """Set values and wait until istiod works with them.

    Raises LabError when istiod does not take them; then the configuration is again what it was before.
    """
    assignments = parse_assignments(arguments)
    before = api.get(CONFIG_MAP)["data"]["mesh"]
    config = yaml.safe_load(before) or {}
    for path, value in assignments:
        config = assign(config, path, value)
    write(api, yaml.safe_dump(config))

    def taken() -> bool:
        effective = istiod.effective_mesh_config()
        return all(shows(effective, path, value) for path, value in assignments)

    try:
        waiting.until(taken, "istiod's taking over the mesh configuration", PATIENCE, why=lambda: NOT_TAKEN)
    except LabError:
        write(api, before)
        raise


def reset(api: Api, folders: Folders) -> None:
    """Go back to the mesh configuration with which the lab was started, and wait until istiod works with it."""
    try:
        original = json.loads(saved(folders).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LabError("The lab's first mesh configuration is not on record; start the lab again.") from error
    write(api, original["written"])
    waiting.until(
        lambda: istiod.effective_mesh_config() == original["effective"],
        "istiod's return to the first mesh configuration",
        PATIENCE,
        why=lambda: NOT_TAKEN,
    )


def save(api: Api, folders: Folders) -> None:
    """Record the mesh configuration of a lab that has just been started, for reset()."""
    record = {"written": api.get(CONFIG_MAP)["data"]["mesh"], "effective": istiod.effective_mesh_config()}
    saved(folders).write_text(json.dumps(record), encoding="utf-8")


def saved(folders: Folders) -> Path:
    return folders.state / "mesh-config.json"


def write(api: Api, mesh: str) -> None:
    api.request("PATCH", CONFIG_MAP, {"data": {"mesh": mesh}}, MERGE)
