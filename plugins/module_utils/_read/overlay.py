# SPDX-License-Identifier: GPL-3.0-or-later
"""What if: proposed objects and assumptions, laid over what a cluster answers and judged by the same rules.

A reader around a reader. Access logs tell of the mesh as it is, so a question with assumptions does without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import config_files, manifests
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.trim import trim

CLUSTER_SCOPED = ("Namespace",)


class Assumptions(NamedTuple):
    """peer_authentication: the mode that every sidecar has; "" = as it is. mesh: settings laid over the mesh's own.

    manifests: objects as they would be applied; those that exist are merged as a server merges them, lists replaced.
    """

    peer_authentication: str = ""
    mesh: Mapping[str, Any] = {}
    manifests: Sequence[Object] = ()

    def __bool__(self) -> bool:
        return bool(self.peer_authentication or self.mesh or self.manifests)


def assumptions(params: Mapping[str, Any]) -> Assumptions:
    """The assumptions that the options `assume` and `with_manifests` make. Raises InputError."""
    assumed = params.get("assume") or {}
    proposed: list[Object] = []
    for entry in params.get("with_manifests") or []:
        proposed += manifests.load_objects(entry) if isinstance(entry, str) else [entry]
    return Assumptions(assumed.get("peer_authentication") or "", assumed.get("mesh") or {}, [*map(trim, proposed)])


class OverlaidReader:
    """Answers needs as the inner reader does, with the assumptions laid over."""

    def __init__(self, inner: Reader, assumptions: Assumptions, root_namespace: str) -> None:
        """root_namespace: where a policy for the whole mesh stands.

        Raises InputError for a manifest that is no object.
        """
        self._inner = inner
        self._assumptions = assumptions
        self._root = root_namespace
        for index, manifest in enumerate(assumptions.manifests):
            if not (manifest.get("kind") and objects.name(manifest)):
                raise InputError(f"with_manifests: document {index + 1} has no kind or no metadata.name.")
            if manifest["kind"] not in CLUSTER_SCOPED and not objects.namespace(manifest):
                raise InputError(
                    f"with_manifests: {manifest['kind']} {objects.name(manifest)} has no metadata.namespace."
                )

    def read(self, need: Need) -> Answer:
        """Answer one need."""
        answer = self._inner.read(need)
        if need.kind == "MeshConfig" and self._assumptions.mesh:
            return answer._replace(objects=tuple(_with_settings(obj, self._assumptions.mesh) for obj in answer.objects))
        if need.kind == "PeerAuthentication" and self._assumptions.peer_authentication:
            return Answer(self._everywhere(need))
        if need.verb == "get" and need.kind in (config_files.TEXTS, config_files.DOCUMENTS):
            return self._config_file(need, answer)
        proposed = [manifest for manifest in self._assumptions.manifests if _concerns(need, manifest)]
        return answer._replace(objects=_laid_over(answer.objects, proposed)) if proposed else answer

    def _config_file(self, need: Need, answer: Answer) -> Answer:
        """A file in a ConfigMap is replaced as a whole."""
        asked = need._replace(kind=config_files.TEXTS)
        for manifest in self._assumptions.manifests:
            if _concerns(asked, manifest):
                proposed = config_files.masked(need.kind, manifest)
                answer = answer._replace(objects=(config_files.laid_over(answer.objects, proposed),))
        return answer

    def _everywhere(self, need: Need) -> tuple[Object, ...]:
        """One policy for the whole mesh in place of all that there are."""
        if need.namespace not in ("", self._root):
            return ()
        policy = {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": "assumed", "namespace": self._root},
            "spec": {"mtls": {"mode": self._assumptions.peer_authentication}},
        }
        return (policy,)


def _concerns(need: Need, manifest: Object) -> bool:
    return (
        need.verb in ("get", "list")
        and need.kind == manifest["kind"]
        and need.namespace in ("", objects.namespace(manifest))
        and need.name in ("", objects.name(manifest))
        and objects.selects(_selector(need.selector), objects.labels(manifest))
    )


def _selector(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def _laid_over(existing: Sequence[Object], proposed: Sequence[Object]) -> tuple[Object, ...]:
    def identity(obj: Object) -> tuple[str, str]:
        return objects.namespace(obj), objects.name(obj)

    merged = {identity(obj): obj for obj in existing}
    for manifest in proposed:
        merged[identity(manifest)] = _merged(merged.get(identity(manifest), {}), manifest)
    return tuple(merged.values())


def _with_settings(obj: Object, settings: Mapping[str, Any]) -> Object:
    return {**obj, "mesh": _merged(objects.mapping(obj.get("mesh")), settings)}


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """New over old, mappings merged key by key and everything else replaced."""
    result = dict(old)
    for key, value in new.items():
        current = result.get(key)
        result[key] = _merged(current, value) if isinstance(current, dict) and isinstance(value, dict) else value
    return result
