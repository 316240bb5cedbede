# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML inside ConfigMaps and files, and Istio's mesh settings."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Object

# A document that needs more is not written by a person: a few dozen aliases can stand for gigabytes.
MAX_ALIASES = 20


class DocumentError(Exception):
    """The text is no YAML, or none that is safe to expand. A phrase without a full stop."""


def decode(text: str) -> Any:
    """The first YAML document in a text. Raises DocumentError."""
    return next(iter(decode_all(text)), None)


def decode_all(text: str) -> list[Any]:
    """All YAML documents in a text. Raises DocumentError."""
    import yaml

    try:
        aliases = sum(1 for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent))
        if aliases > MAX_ALIASES:
            raise DocumentError(f"it holds {aliases} YAML aliases, more than the {MAX_ALIASES} that are expanded")
        return list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DocumentError(f"it is no YAML: {line}") from error


def mesh_config(config_map: Object) -> Answer:
    """The mesh's settings in Istio's ConfigMap: one object with its metadata and the decoded `mesh`, or a problem."""
    place = f"{objects.namespace(config_map)}/{objects.name(config_map)}"
    try:
        mesh = decode(objects.text(objects.mapping(config_map.get("data")).get("mesh"))) or {}
    except DocumentError as error:
        return Answer(problem=f"key mesh of ConfigMap {place}: {error}")
    if not isinstance(mesh, dict):
        return Answer(problem=f"key mesh of ConfigMap {place} is no mapping")
    return Answer(({"metadata": objects.metadata(config_map), "mesh": mesh},))
