# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab takes from Debian: programs of the host, and packages that are only unpacked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from meshlab.errors import LabError
from meshlab.progress import step

HOST_PROGRAMS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "curl": "curl",
}
"""Programs that the host must have, and the Debian package of each. Pods of the lab see the host's file system."""


def ensure_host_programs(find: Callable[[str], str | None] = shutil.which) -> None:
    """Install the host programs that are missing, or raise LabError with all their names."""
    missing = missing_programs(find)
    if not missing:
        return
    packages = sorted({HOST_PROGRAMS[program] for program in missing})
    if os.geteuid() != 0 or not find("apt-get"):
        raise LabError(
            f"Missing programs: {', '.join(missing)}; install them (Debian packages: {', '.join(packages)})."
        )
    with step(f"installing {' '.join(packages)}"):
        install = ["install", "-y", "--no-install-recommends", *packages]
        if apt_get(install) is not None:
            apt_get(["update"])
            problem = apt_get(install)
            if problem is not None:
                raise LabError(f"Missing programs: {', '.join(missing)}; apt-get could not install them: {problem}")


def missing_programs(find: Callable[[str], str | None]) -> list[str]:
    """Return the names of the host programs that *find*, which works like shutil.which, does not find."""
    return [program for program in HOST_PROGRAMS if not find(program)]


def unpack(package: str, version: str, folder: Path) -> None:
    """Unpack a Debian *package*, whose version begins with *version*, into *folder* without installing it."""
    command = ["download", f"{package}={version}*"]
    problem = apt_get(command, folder)
    if problem is not None:
        apt_get(["update"])
        problem = apt_get(command, folder)
    if problem is not None:
        raise LabError(f"The Debian package {package} {version} cannot be downloaded: {problem}")
    (archive,) = folder.glob("*.deb")
    done = subprocess.run(["dpkg-deb", "-x", archive, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"The Debian package {archive.name} cannot be unpacked: {last_line(done.stderr)}")
    archive.unlink()


def apt_get(arguments: Iterable[str], directory: Path | None = None) -> str | None:
    """Run apt-get; return None when it succeeded, else its last complaint."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["apt-get", *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "apt-get is missing; the lab needs Debian or one of its derivatives."
    return last_line(done.stderr) if done.returncode else None


def last_line(text: str) -> str:
    """Return the last line of *text* that says anything."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"
