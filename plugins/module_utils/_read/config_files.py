# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files of proxies in ConfigMaps, as texts or decoded, with secrets masked as they arrive."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import documents

# The kinds of Need that are answered from a ConfigMap.
TEXTS, DOCUMENTS = "ConfigMap", "ConfigDocuments"


def masked(kind: str, config_map: Object) -> Object:
    """A ConfigMap as the judges see it. kind: TEXTS or DOCUMENTS."""
    return decoded(config_map) if kind == DOCUMENTS else texts(config_map)


def texts(config_map: Object) -> Object:
    """The ConfigMap with its texts, and nothing that the cluster keeps about it."""
    data = objects.mapping(config_map.get("data"))
    return {**_named(config_map), "data": {key: _redact.configuration(objects.text(data[key])) for key in sorted(data)}}


def decoded(config_map: Object) -> Object:
    """`documents`: key -> the first YAML (or JSON) document in it; `problems`: key -> why it is none."""
    found, problems = {}, {}
    for key, text in sorted(objects.mapping(config_map.get("data")).items()):
        try:
            found[key] = _redact.document(documents.decode(objects.text(text)))
        except documents.DocumentError as error:
            problems[key] = _redact.text(str(error))
    return {**_named(config_map), "documents": found, "problems": problems}


def laid_over(existing: Sequence[Object], proposed: Object) -> Object:
    """A ConfigMap as it is (or is not) there, with the keys of another in place of its own."""
    merged = dict(proposed)
    for field in ("data", "documents", "problems"):
        if field in proposed:
            merged[field] = {**(objects.mapping(existing[0].get(field)) if existing else {}), **proposed[field]}
    return merged


def _named(config_map: Object) -> Object:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = objects.metadata(config_map)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {field: metadata[field] for field in kept if field in metadata},
    }
