# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the checkout to Ansible's programs as ``ansible_collections/meshops/istio_remediation``, outside the checkout.

Two forms, one directory per checkout: *live*, a link to the checkout, for programs that only have to find the
collection; *copy*, real files, for ``ansible-test``, which resolves links and then refuses the path.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps import ROOT
from tool_environment import CACHE

COLLECTION = Path("ansible_collections/meshops/istio_remediation")


def files() -> list[Path]:
    """Return the paths, relative to the checkout, of all files that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (Path(name) for name in listing.split("\0") if name)
    return sorted(path for path in paths if (ROOT / path).is_file())


def live() -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH in which the collection is a link to the checkout."""
    base = _base() / "live"
    link = base / COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(ROOT, target_is_directory=True)
    return base


@contextmanager
def copy() -> Iterator[Path]:
    """Make a fresh copy of all files of the checkout and yield its directory, locked against a second user."""
    base = _base() / "copy"
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(base / COLLECTION.parts[0], ignore_errors=True)
        target = base / COLLECTION
        for path in files():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target / path)
        yield target


def _base() -> Path:
    return CACHE / f"tree-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
