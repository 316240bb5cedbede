# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading Kubernetes manifests and sending them to the API server."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from meshlab.api import Api, Manifest

# The parser in C where PyYAML has it: Istio's resource definitions are 700 kB of YAML.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FIRST = ("Namespace", "CustomResourceDefinition")
"""Kinds that others need before they can be created."""

THREADS = 8


def parse(text: str) -> list[Manifest]:
    """Return the objects in a YAML *text*: those of all its documents and of its Lists; empty ones do not count."""
    documents = [document for document in yaml.load_all(text, Loader=Loader) if document]
    return [manifest for document in documents for manifest in _items(document)]


def _items(document: Manifest) -> list[Manifest]:
    # One document per file is what Ansible's linters accept; a List holds several objects in it.
    if document.get("kind") != "List":
        return [document]
    items: list[Manifest] = document["items"]
    return items


def read(folder: Path) -> list[Manifest]:
    """Return the objects of all YAML files in *folder*."""
    return [manifest for path in sorted(folder.glob("*.yaml")) for manifest in read_file(path)]


def read_file(path: Path) -> list[Manifest]:
    """Return the objects of one YAML file."""
    return parse(path.read_text(encoding="utf-8"))


def apply(api: Api, manifests: Iterable[Manifest]) -> None:
    """Send *manifests* to the API server, several at once, those first that others need. Raises ApiError."""
    early, late = split(manifests)
    with ThreadPoolExecutor(THREADS) as pool:
        for group in (early, late):
            for _result in pool.map(api.apply, group):
                continue


def split(manifests: Iterable[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """Split *manifests* into those of the kinds in FIRST and the rest; the order within each stays."""
    early: list[Manifest] = []
    late: list[Manifest] = []
    for manifest in manifests:
        (early if manifest["kind"] in FIRST else late).append(manifest)
    return early, late
