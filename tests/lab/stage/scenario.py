# SPDX-License-Identifier: GPL-3.0-or-later
"""A scenario's files: what the world looks like before anything is done.

``tests/lab/scenarios/README.md`` says what each key means.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from meshlab import manifests
from meshlab.api import Manifest
from meshlab.errors import LabError
from meshlab.settings import LAB

from stage.place import NAMESPACE, here

SCENARIOS = LAB / "scenarios"
STACK = LAB / "stack"


class Scenario(NamedTuple):
    """One world.

    objects: every object of the namespace, the stack's with the scenario's on top. mesh: settings of the mesh
    configuration as ``key=value``. answer: what Grafana gives to a query in this world (see query.py). late: objects
    that come once that answer is proven, so that connections are open from before. unready: Deployments whose pods
    cannot start.
    """

    name: str
    objects: tuple[Manifest, ...]
    mesh: tuple[str, ...]
    answer: Mapping[str, Any]
    late: tuple[Manifest, ...] = ()
    unready: tuple[str, ...] = ()


def read(name: str) -> dict[str, Any]:
    """Return a scenario's data: of a folder, or of a file in the folder of a group. Raises LabError."""
    path = SCENARIOS / f"{name}.yml" if "/" in name else folder_of(name) / "scenario.yml"
    try:
        data: dict[str, Any] = yaml.safe_load(here(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise LabError(f"There is no scenario {name} in {SCENARIOS}.") from error
    return data


def load(name: str) -> Scenario:
    """Read a scenario and lay it over the stack. Raises LabError where it is not there or its edits fit nothing."""
    data = read(name)
    world, late = data.get("world") or {}, data.get("late") or {}
    objects = lay(objects_of(STACK), [*objects_of(folder_of(name)), *(world.get("objects") or [])])
    objects = edit(objects, world.get("edits") or [])
    return Scenario(
        name=name,
        objects=tuple(objects),
        mesh=tuple(f"{key}={json.dumps(value)}" for key, value in (world.get("mesh") or {}).items()),
        answer=late.get("once", data["before"]["answer"]),
        late=(*(late.get("objects") or []), *changed(objects, late.get("edits") or [])),
        unready=tuple(world.get("unready") or []),
    )


def objects_of(folder: Path) -> list[Manifest]:
    """Return the objects of all YAML files in a folder, for the namespace of this stage."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))]
    return [manifest for text in texts for manifest in manifests.parse(here(text))]


def alone(name: str) -> bool:
    """Tell whether a world reaches beyond its namespace, so that no other stage may stand beside it. Raises LabError.

    It does so by the mesh's settings, by objects elsewhere, and by hosts that are not of its namespace; or it says so.
    """
    wanted = load(name)
    return bool(wanted.mesh or read(name).get("alone")) or any(
        reaches_out(manifest) for manifest in (*wanted.objects, *wanted.late)
    )


def reaches_out(manifest: Manifest) -> bool:
    meta, spec = manifest["metadata"], manifest.get("spec") or {}
    if NAMESPACE not in (meta.get("namespace"), meta["name"]):
        return True
    hosts = [*(spec.get("hosts") or []), *([spec["host"]] if "host" in spec else [])]
    return any("." in host and f".{NAMESPACE}." not in host for host in hosts)


def changed(objects: list[Manifest], edits: list[Mapping[str, Any]]) -> list[Manifest]:
    """Return the objects that the edits name, edited."""
    named = {entry["object"] for entry in edits}
    return [manifest for manifest in edit(objects, edits) if "/".join(identity(manifest)) in named]


def plain() -> Scenario:
    """The stack as it is, in which queries die."""
    return Scenario("", tuple(objects_of(STACK)), (), {"status": 503})


def identity(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def lay(below: Iterable[Manifest], above: Iterable[Manifest]) -> list[Manifest]:
    """Return all objects; one of ``above`` takes the place of one of ``below`` with the same kind and name."""
    laid = {identity(manifest): manifest for manifest in [*below, *above]}
    return list(laid.values())


def edit(objects: list[Manifest], edits: Iterable[Mapping[str, Any]]) -> list[Manifest]:
    """Return the objects with fields set or removed.

    edits: ``object`` is ``Kind/name``; ``set`` maps JSON Pointers to values, None removes the field.
    Raises LabError for an object or a path that is not there.
    """
    known = {"/".join(identity(manifest)): copy.deepcopy(manifest) for manifest in objects}
    for entry in edits:
        try:
            target = known[entry["object"]]
        except KeyError:
            raise LabError(f"The stack has no {entry['object']} to edit.") from None
        for pointer, value in entry["set"].items():
            put(target, pointer, value)
    return list(known.values())


def put(manifest: Manifest, pointer: str, value: Any) -> None:
    """Set what ``pointer`` names, such as ``/spec/ports/0/name``; None removes it, ``-`` appends to a list."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    current: Any = manifest
    try:
        for part in way:
            current = current[int(part)] if isinstance(current, list) else current.setdefault(part, {})
        if isinstance(current, list):
            current[:] = [*current, value] if last == "-" else [*current[: int(last)], value, *current[int(last) + 1 :]]
        elif value is None:
            current.pop(last, None)
        else:
            current[last] = value
    except (IndexError, ValueError, AttributeError):
        raise LabError(f"{'/'.join(identity(manifest))} has nothing at {pointer} to edit.") from None


def names() -> list[str]:
    """The names of the scenarios that have a folder of their own."""
    return sorted(path.parent.name for path in SCENARIOS.glob("*/scenario.yml"))


def group(name: str) -> list[str]:
    """The names of a group's scenarios, one file each, as ``group/scenario``."""
    return sorted(f"{name}/{path.stem}" for path in folder_of(name).glob("*.yml"))


def folder_of(name: str) -> Path:
    return SCENARIOS / name.partition("/")[0]
