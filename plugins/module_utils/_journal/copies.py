# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the copies of proxies that rehearsals set up: of one that is under way, or of one that was killed.

Here they are only looked at; `_apply/shadow.py` removes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ForbiddenError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import shadow


class Copy(NamedTuple):
    """A Deployment with the name of a copy for rehearsals of this path."""

    path_id: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Found(NamedTuple):
    """unknown: where it could not be seen whether there is a copy, as sentences."""

    copies: tuple[Copy, ...]
    unknown: tuple[str, ...]


def in_namespaces(client: Client, path_ids: Collection[str], namespaces: Iterable[str]) -> Found:
    """Copies for these paths, each asked for by its name. Raises KubeErrors but for a 403."""
    found: list[Copy] = []
    unknown: list[str] = []
    for namespace in dict.fromkeys(namespaces):
        for copy in (Copy(path_id, namespace, shadow.name(path_id)) for path_id in path_ids):
            try:
                found += [copy] if exists(client, "Deployment", namespace, copy.name) else []
            except ForbiddenError as error:
                unknown.append(f"Whether a rehearsal left a copy in namespace {namespace} is unknown: {error}")
    return Found(tuple(found), tuple(unknown))


def anywhere(client: Client, path_ids: Collection[str], namespaces: Collection[str], others: bool) -> Found:
    """Copies for these paths, by one LIST of the whole cluster; with `others` those for all other paths too.

    namespaces: where to look by name if the cluster may not be listed. Raises KubeErrors but for a 403.
    """
    try:
        listed = client.list("Deployment", "", shadow.RUN_LABEL)
    except ForbiddenError as error:
        near = in_namespaces(client, path_ids, namespaces)
        seen = ", ".join(dict.fromkeys(namespaces))
        elsewhere = f"Whether a rehearsal left a copy in another namespace than {seen} is unknown: {error}"
        return near._replace(unknown=(*near.unknown, elsewhere))
    found = [
        Copy(objects.name(obj).removeprefix(shadow.name("")), objects.namespace(obj), objects.name(obj))
        for obj in listed
    ]
    return Found(tuple(copy for copy in found if others or copy.path_id in path_ids), ())
