# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``ansible-test sanity`` without containers and without ignores, for every Python that is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from steps import ROOT, TOOLS, AbsentError, call, environment, step
from tree import copy

# The Pythons that tests/config.yml declares and that ansible-core 2.19 knows.
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# The pip that ansible-core 2.19 wants in its environments; part of the file name under which it looks for get-pip.py.
PIP = "24.2"


def interpreters() -> dict[str, Path]:
    """Return for each version in PYTHONS that is installed here the directory that holds ``python<version>``.

    The shims of pyenv are passed over: they fail for versions that are not selected, which stops ansible-test.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found: dict[str, Path] = {}
    for version in PYTHONS:
        directories = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
        for directory in [*directories, *sorted(pyenv.glob(f"{version}.*/bin"), reverse=True)]:
            if directory.name != "shims" and _answers(directory / f"python{version}", version):
                found[version] = directory
                break
    return found


def _answers(program: Path, version: str) -> bool:
    if not os.access(program, os.X_OK):
        return False
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([program, "-c", question], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == version


def place_get_pip() -> None:
    """Put our stand-in for get-pip.py where ansible-test looks for it, unless the real one is already there."""
    target = Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{PIP.replace('.', '_')}.py"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "tests" / "tools" / "get_pip.py", target)


def sanity() -> int:
    """Check a copy of the checkout and return ansible-test's exit code.

    :raises AbsentError: an ignore file holds an entry, or there is nothing to check.
    """
    for ignore in sorted((ROOT / "tests" / "sanity").glob("ignore-*.txt")):
        if ignore.stat().st_size:
            raise AbsentError(f"{ignore.relative_to(ROOT)} is not empty: cure what it hides, then empty it")
    if not any((ROOT / "plugins").rglob("*.py")):
        raise AbsentError("plugins holds no Python file: there is nothing to check")
    place_get_pip()
    found = interpreters()
    missing = [version for version in PYTHONS if version not in found]
    print(f"   compile and import run for Python {', '.join(found)}", flush=True)
    if missing:
        print(f"   NOT COVERED, because not installed here: Python {', '.join(missing)}", flush=True)
    # Only the directories found, then the rest without pyenv's shims.
    rest = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(entry).name != "shims"]
    path = os.pathsep.join(dict.fromkeys([str(TOOLS), *map(str, found.values()), *rest]))
    with copy() as tree:
        return call(["ansible-test", "sanity", "--color", "no"], cwd=tree, env=environment() | {"PATH": path})


if __name__ == "__main__":
    sys.exit(0 if step("Sanity (ansible-test)", sanity) else 1)
