# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files in a container's file system, as far as they come from ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Mount
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.kind import Seen

TEXTS, DOCUMENTS = "ConfigMap", "ConfigDocuments"


class FileError(Exception):
    """A file cannot be read. A phrase without a full stop."""


class File(NamedTuple):
    """path: in the container. place: where its owner changes it. content: its text, or what YAML decodes it to.

    problem: why it could not be decoded; "" where it could.
    """

    path: str
    place: str
    content: Any
    problem: str = ""


def below(seen: Seen, folders: Iterable[str]) -> list[File]:
    """The texts of all mounted files below some folders, by path.

    Raises NotReadError, and FileError where a ConfigMap cannot be read.
    """
    wanted = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    mounts = [mount for mount in seen.container.mounts if f"{mount.path}/".startswith(wanted)]
    mounts += [mount for mount in seen.container.mounts if mount not in mounts and _above(mount, wanted)]
    found = {file.path: file for file in _read(seen, mounts, TEXTS)}
    return [file for path, file in sorted(found.items()) if path.startswith(wanted)]


def text(seen: Seen, path: str) -> File:
    """The text of one file. Raises NotReadError, and FileError where no mounted ConfigMap holds it."""
    return _one(seen, path, TEXTS)


def document(seen: Seen, path: str) -> File:
    """What a YAML or JSON file decodes to. Raises NotReadError, FileError."""
    return _one(seen, path, DOCUMENTS)


def _one(seen: Seen, path: str, kind: str) -> File:
    mounts = [mount for mount in seen.container.mounts if path == mount.path or path.startswith(f"{mount.path}/")]
    for file in _read(seen, mounts, kind):
        if file.path == path and file.problem:
            raise FileError(f"{file.place}: {file.problem}")
        if file.path == path:
            return file
    raise unmounted(path)


def unmounted(path: str = "") -> FileError:
    """That a configuration cannot be read. path: where it is; "" where the program would look in several places."""
    named = " ".join(filter(None, ("its configuration", path)))
    return FileError(f"{named} is in no ConfigMap that is mounted (Secrets and images are not read)")


def _above(mount: Mount, folders: tuple[str, ...]) -> bool:
    return not mount.sub_path and any(folder.startswith(f"{mount.path}/") for folder in folders)


def _read(seen: Seen, mounts: list[Mount], kind: str) -> Iterator[File]:
    names = tuple(dict.fromkeys(mount.config_map for mount in mounts))
    answers = dict(zip(names, seen.arrival.read(kind, names), strict=True)) if names else {}
    for mount in mounts:
        answer = answers[mount.config_map]
        if answer.problem or not answer.objects:
            why = answer.problem or "it does not exist"
            raise FileError(f"ConfigMap {seen.pod.namespace}/{mount.config_map} cannot be read: {why}")
        yield from _files(seen, mount, answer.objects[0], kind)


def _files(seen: Seen, mount: Mount, config_map: Object, kind: str) -> Iterator[File]:
    contents = objects.mapping(config_map.get("documents" if kind == DOCUMENTS else "data"))
    problems = objects.mapping(config_map.get("problems"))
    for key in sorted({*contents, *problems}):
        if mount.items and key not in mount.items:
            continue
        name = mount.items.get(key, key)
        if mount.sub_path and name != mount.sub_path:
            continue
        place = f"key {key} of ConfigMap {seen.pod.namespace}/{mount.config_map}"
        path = mount.path if mount.sub_path else f"{mount.path}/{name}"
        yield File(path, place, contents.get(key), objects.text(problems.get(key)))
