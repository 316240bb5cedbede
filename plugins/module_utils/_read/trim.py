# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes objects small and harmless as they arrive."""

from __future__ import annotations

from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import provisioning

# Copies of the object as somebody applied it: kubectl, kapp (pkg/kapp/diff/resource_with_history.go), Rancher's tools.
_COPIES = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        *("kapp.k14s.io/original", "kapp.k14s.io/original-diff", "kapp.k14s.io/original-diff-full"),
        "objectset.rio.cattle.io/applied",
    }
)
_MANAGER_FIELDS = ("manager", "operation", "time", "subresource")
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


def trim(obj: Object) -> Object:
    """The object without who owns which field and without a second copy of itself; secrets in containers masked.

    A workload's `args` stay as they are: fixes test and replace them, and a masked value would be written back.
    """
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        obj = {**obj, "metadata": _metadata(metadata)}
    if obj.get("kind") == "GrafanaDatasource":
        return provisioning.custom_resource(obj)
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return obj
    if obj.get("kind") == "EnvoyFilter":
        # A script, a header or a filter's settings may hold a token.
        return {**obj, "spec": _redact.document(spec)}
    if obj.get("kind") == "Pod":
        return {**obj, "spec": _pod_spec(spec, mask_arguments=True)}
    template = spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        masked = {**template, "spec": _pod_spec(template["spec"], mask_arguments=False)}
        return {**obj, "spec": {**spec, "template": masked}}
    return obj


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    kept = dict(metadata)
    managed = kept.get("managedFields")
    if isinstance(managed, list):
        kept["managedFields"] = [
            {field: entry[field] for field in _MANAGER_FIELDS if field in entry} for entry in managed
        ]
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and not _COPIES.isdisjoint(annotations):
        kept["annotations"] = {key: value for key, value in annotations.items() if key not in _COPIES}
    return kept


def _pod_spec(spec: dict[str, Any], mask_arguments: bool) -> dict[str, Any]:
    kept = dict(spec)
    for key in _CONTAINER_LISTS:
        if isinstance(kept.get(key), list):
            kept[key] = [_container(entry, mask_arguments) for entry in kept[key] if isinstance(entry, dict)]
    return kept


def _container(entry: dict[str, Any], mask_arguments: bool) -> dict[str, Any]:
    kept = dict(entry)
    if isinstance(kept.get("env"), list):
        kept["env"] = _redact.environment(kept["env"])
    for key in ("command", "args") if mask_arguments else ():
        if isinstance(kept.get(key), list):
            kept[key] = _redact.arguments(kept[key])
    return kept
