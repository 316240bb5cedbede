# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers needs from a folder of manifests: `kubectl get -o yaml`, or a must-gather.

A folder does not say what it leaves out. A kind of which it holds no object is therefore unknown, unless a file named
after the kind's plural (`virtualservices.yaml`) shows that it was asked for and is empty.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.kinds import RESOURCES
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import (
    config_files,
    documents,
    provisioning,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.trim import trim

ENDINGS = (".yaml", ".yml", ".json")
# Where a log may be, below the folder: our own layout, then a must-gather's.
LOG_PATHS = (
    "logs/{namespace}/{pod}/{container}.log",
    "namespaces/{namespace}/pods/{pod}/{container}/{container}/logs/current.log",
)
# Where a sidecar's `config_dump` may be: our own layout, then that of `istioctl bug-report`.
DUMPS = "config_dumps"
DUMP_PATHS = (
    "config_dumps/{namespace}/{pod}.json",
    "proxies/{namespace}/{pod}/config_dump?include_eds",
    "proxies/{namespace}/{pod}/config_dump",
)


class ManifestReader:
    """Answers needs from the files below a folder."""

    def __init__(self, folder: str) -> None:
        """Raises InputError where the folder cannot be read or a file in it is no YAML."""
        if not os.path.isdir(folder):
            raise InputError(f"{folder} is no folder of manifests.")
        self._folder = folder
        self._objects: dict[str, list[Object]] = {}
        self._asked: set[str] = set()
        for path in _files(folder):
            self._asked.add(os.path.splitext(os.path.basename(path))[0].lower())
            for obj in load_objects(path):
                self._objects.setdefault(objects.text(obj.get("kind")), []).append(obj)
        if not self._objects:
            raise InputError(f"{folder} holds no Kubernetes object in a .yaml, .yml or .json file.")

    def read(self, need: Need) -> Answer:
        """Answer one need."""
        if need.verb == "log":
            return self._log(need)
        if need.verb == "envoy":
            return self._envoy(need)
        if need.kind == "MeshConfig":
            return self._mesh_config(need)
        if need.kind in provisioning.HOLDERS:
            return self._datasources(need)
        if need.verb == "get" and need.kind in (config_files.TEXTS, config_files.DOCUMENTS):
            return self._config_file(need)
        if need.verb in ("get", "list"):
            return self._select(need)
        if need.verb == "owner":
            return self._owner(need)
        return Answer(problem="a folder of manifests cannot be asked")

    def _select(self, need: Need) -> Answer:
        plural = RESOURCES[need.kind].plural
        if need.kind not in self._objects and plural not in self._asked:
            hint = f"`kubectl get {plural} -A -o yaml > {plural}.yaml` adds them, also where there are none"
            return Answer(problem=f"the folder holds no {need.kind}; {hint}")
        wanted = dict(pair.split("=", 1) for pair in need.selector.split(",") if "=" in pair)
        found = (
            obj
            for obj in self._objects.get(need.kind, [])
            if need.namespace in ("", objects.namespace(obj))
            and need.name in ("", objects.name(obj))
            and objects.selects(wanted, objects.labels(obj))
        )
        return Answer(tuple(map(trim, found)))

    def _owner(self, need: Need) -> Answer:
        found = [
            {"apiVersion": obj.get("apiVersion"), "kind": need.kind, "metadata": trim(obj)["metadata"]}
            for obj in self._objects.get(need.kind, [])
            if objects.name(obj) == need.name and objects.namespace(obj) in (need.namespace, "")
        ]
        return Answer(tuple(found[:1]), problem="" if found else f"the folder holds no such {need.kind}")

    def _mesh_config(self, need: Need) -> Answer:
        answer = self._select(need._replace(kind="ConfigMap"))
        if answer.problem or not answer.objects:
            return answer
        return documents.mesh_config(answer.objects[0])

    def _config_file(self, need: Need) -> Answer:
        answer = self._select(need._replace(kind="ConfigMap"))
        return answer._replace(objects=tuple(config_files.masked(need.kind, obj) for obj in answer.objects))

    def _datasources(self, need: Need) -> Answer:
        answer = self._select(Need("list", provisioning.HOLDERS[need.kind], need.namespace))
        mounted = need.name.split(",")
        loaded = (obj for obj in answer.objects if need.selector in objects.labels(obj) or objects.name(obj) in mounted)
        return provisioning.answer(loaded, [answer.problem] if answer.problem else [])

    def _log(self, need: Need) -> Answer:
        path = self._found(LOG_PATHS, need)
        if not path:
            return Answer(problem=f"the folder holds no {LOG_PATHS[0].format_map(_fields(need))}")
        with open(path, encoding="utf-8", errors="replace") as file:
            return Answer(text=file.read())

    def _envoy(self, need: Need) -> Answer:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import saved_dump

        path = self._found(DUMP_PATHS, need)
        if not path:
            return Answer(problem=f"the folder holds no {DUMP_PATHS[0].format_map(_fields(need))}")
        return saved_dump.read(path)

    def _found(self, layouts: tuple[str, ...], need: Need) -> str:
        """The first file that one of the layouts leads to, anywhere below the folder; "" where there is none."""
        for layout in layouts:
            relative = layout.format_map(_fields(need))
            for root, _folders, _names in os.walk(self._folder):
                path = os.path.join(root, relative)
                if os.path.isfile(path):
                    return path
        return ""


def _fields(need: Need) -> dict[str, str]:
    return {"namespace": need.namespace, "pod": need.name, "container": need.container}


def load_objects(path: str) -> list[Object]:
    """The Kubernetes objects in a YAML or JSON file, lists unpacked. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found = [json.loads(text)] if path.endswith(".json") else documents.decode_all(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}.") from error
    except documents.DocumentError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    return list(_unpacked(found))


def _unpacked(entries: list[Any]) -> Iterator[Object]:
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        if isinstance(entry.get("items"), list):
            yield from _unpacked(entry["items"])
        elif entry.get("kind") and isinstance(entry.get("metadata"), dict):
            yield entry


def _files(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != DUMPS)
        for name in sorted(names):
            if name.endswith(ENDINGS):
                yield os.path.join(root, name)
