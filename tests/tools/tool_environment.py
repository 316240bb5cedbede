# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the virtual environment that every other tool runs in, or find it made already.

It lies outside the checkout and is named after a hash of the requirements and the interpreter, so that all clones of
one state share it. ``.venv`` in the checkout is a link to it. A marker written last tells a finished environment from
one whose making was killed. A file lock keeps two makers apart; pip inherits it, so that a pip that outlives its
killed parent is waited for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = (ROOT / "requirements-dev.txt", ROOT / "constraints-dev.txt")
# mitmproxy pins what it needs to versions that our own tools do not want.
MITMPROXY = (ROOT / "tests" / "lab" / "faults" / "requirements.txt",)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshops-istio-remediation"
MARKER = "complete"


def environment_path(requirements: Sequence[Path]) -> Path:
    """Return where the environment for these requirements and this interpreter belongs."""
    digest = hashlib.sha256()
    for part in (sys.version, platform.machine(), os.path.realpath(sys.executable)):
        digest.update(part.encode())
    for file in requirements:
        digest.update(file.read_bytes())
    return CACHE / f"venv-{digest.hexdigest()[:12]}"


def is_complete(venv: Path) -> bool:
    """Tell whether ``venv`` was finished and its interpreter is still there (a link to one that may be uninstalled)."""
    return (venv / MARKER).is_file() and os.access(venv / "bin" / "python", os.X_OK)


def make(venv: Path, requirements: Path, lock: int) -> None:
    """Build ``venv`` from nothing, under the lock whose file descriptor is ``lock``.

    :raises subprocess.CalledProcessError: venv or pip failed; what they said is on the terminal.
    """
    shutil.rmtree(venv, ignore_errors=True)
    started = time.monotonic()
    print(f"== Installing the Python tools into {venv} (once, about half a minute)", flush=True)
    # What the caller's shell says about other Python environments must not leak into this one.
    unwanted = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV"}
    environ = {key: value for key, value in os.environ.items() if key not in unwanted}
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, env=environ, pass_fds=(lock,))
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(requirements)], check=True, env=environ, pass_fds=(lock,))
    (venv / MARKER).touch()
    print(f"== Installing the Python tools: done in {time.monotonic() - started:.1f} s", flush=True)


def link(venv: Path) -> None:
    """Point ``.venv`` of the checkout at ``venv`` in one step."""
    target = ROOT / ".venv"
    if target.is_symlink() and target.readlink() == venv:
        return
    if target.exists() and not target.is_symlink():
        sys.exit(f"error: {target} is not the link that make keeps there; remove it and run make again.")
    fresh = ROOT / f".venv.{os.getpid()}"
    fresh.symlink_to(venv, target_is_directory=True)
    fresh.replace(target)


def ensure(requirements: Sequence[Path]) -> Path:
    """Return a finished environment with what the first of the files requires; the others are what it refers to."""
    venv = environment_path(requirements)
    if not is_complete(venv):
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{venv.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_complete(venv):
                try:
                    make(venv, requirements[0], lock.fileno())
                except subprocess.CalledProcessError as failure:
                    sys.exit(
                        f"error: the Python tools could not be installed ({' '.join(failure.cmd[:4])} ended with "
                        f"{failure.returncode}; its words are above). Check the network and pip's index, then run "
                        "make again."
                    )
    return venv


if __name__ == "__main__":
    link(ensure(REQUIREMENTS))
