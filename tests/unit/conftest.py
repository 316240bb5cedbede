# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable under the collection's own name, wherever it was cloned to."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.meshops.istio_remediation"


def _mount_collection() -> None:
    """Register ``ansible_collections.meshops.istio_remediation`` as a package whose path is this checkout.

    ``ansible-test units`` brings a loader of its own; then there is nothing to do.
    """
    try:
        if importlib.util.find_spec(COLLECTION) is not None:
            return
    except ModuleNotFoundError:
        pass
    for name in ("ansible_collections", "ansible_collections.meshops", COLLECTION):
        package = sys.modules.setdefault(name, ModuleType(name))
        if not hasattr(package, "__path__"):
            package.__path__ = []
        parent, _dot, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)
    sys.modules[COLLECTION].__path__ = [str(ROOT)]


_mount_collection()


@pytest.fixture(scope="session")
def collections_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH in which Ansible programs find this checkout.

    It holds only what an installed collection may rely on: documentation, tests and extensions are not needed to run.
    """
    base = tmp_path_factory.mktemp("collections")
    collection = base / "ansible_collections" / "meshops" / "istio_remediation"
    collection.mkdir(parents=True)
    for part in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        (collection / part).symlink_to(ROOT / part)
    return base


@pytest.fixture(scope="session")
def repository_root() -> Path:
    """Return the top directory of the checkout."""
    return ROOT
