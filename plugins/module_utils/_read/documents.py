# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML inside ConfigMaps: Istio's mesh settings and Grafana's provisioned data sources."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Object

# A document that needs more is not written by a person: a few dozen aliases can stand for gigabytes.
MAX_ALIASES = 20
# Grafana's Helm chart and its sidecar load every ConfigMap with this label, whatever its value.
DATASOURCE_LABEL = "grafana_datasource"
# What a data source is judged by. secureJsonData holds secrets and is never taken along.
_DATASOURCE_FIELDS = ("uid", "name", "type", "url", "access", "jsonData")


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


def datasources(config_map: Object) -> tuple[list[Object], list[str]]:
    """The data sources in a provisioning ConfigMap, and what of it could not be read, as sentences without a full stop.

    https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
    """
    place = f"{objects.namespace(config_map)}/{objects.name(config_map)}"
    found: list[Object] = []
    problems = []
    for key, text in sorted(objects.mapping(config_map.get("data")).items()):
        if not key.endswith((".yaml", ".yml")):
            continue
        try:
            document = decode(text)
        except DocumentError as error:
            problems.append(f"key {key} of ConfigMap {place}: {error}")
            continue
        for entry in objects.sequence(objects.mapping(document).get("datasources")):
            source = objects.mapping(entry)
            kept = {field: source[field] for field in _DATASOURCE_FIELDS if field in source}
            found.append({**kept, "configMap": place})
    return found, problems
