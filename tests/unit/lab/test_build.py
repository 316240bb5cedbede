# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache never holds half a part."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from meshlab import build, parts
from meshlab.errors import LabError

FAKE_GO = """#!/bin/sh
# Called as: go build -ldflags FLAGS -o FOLDER/ PACKAGE...
[ "$GOFLAGS" = "-mod=readonly -trimpath -buildvcs=false" ] || exit 3
echo program > "$5program"
{ending}
"""


@pytest.fixture
def part(tmp_path: Path) -> parts.GoPart:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module x\n")
    return parts.GoPart("x", "1.0", module, (".",), links=("one", "two"))


@pytest.fixture
def with_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a go command with the given last line first in PATH."""

    def install(ending: str) -> None:
        folder = tmp_path / "go-bin"
        folder.mkdir()
        go = folder / "go"
        go.write_text(FAKE_GO.format(ending=ending))
        go.chmod(go.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder), prepend=":")

    return install


def test_a_part_is_built_once(tmp_path, part, with_go, monkeypatch, capsys) -> None:
    with_go("true")
    monkeypatch.setattr(build, "catalog", lambda: [part])
    cache = tmp_path / "cache"
    made = build.build(cache)
    assert made["x"].parent == cache
    assert (made["x"] / "two").resolve() == made["x"] / "program"
    assert capsys.readouterr().out.startswith("building x 1.0 … ")
    assert build.build(cache) == made
    assert capsys.readouterr().out == "x 1.0 … cached\n"
    assert build.build(cache, quiet=True) == made
    assert capsys.readouterr().out == ""


def test_a_failed_build_leaves_only_its_log(tmp_path, part, with_go, capsys) -> None:
    with_go("echo 'main.go:1: undefined: y' >&2; exit 1")
    cache = tmp_path / "cache"
    with pytest.raises(LabError, match=r"building x failed: main\.go:1: undefined: y \(all of its output: .*\.log\)"):
        build.make(part, cache / "x-1.0", cache)
    assert [path.name for path in cache.iterdir()] == ["building-x.log"]
    assert capsys.readouterr().out == ""


def test_what_a_killed_build_left_is_removed(tmp_path, monkeypatch) -> None:
    draft = tmp_path / f"{build.DRAFT}x" / "part"
    draft.mkdir(parents=True)
    monkeypatch.setattr(build, "catalog", list)
    assert build.build(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="fetching failed: no-such-program is missing"):
        build.run(["no-such-program"], "fetching", tmp_path)


def test_go_is_the_machines_own_or_the_fetched_one(tmp_path: Path, with_go, monkeypatch) -> None:
    fetched = build.fetched_go(tmp_path) / "go" / "bin" / "go"
    fetched.parent.mkdir(parents=True)
    fetched.write_text("")
    fetched.chmod(0o755)
    with_go("true")
    assert build.find_go(tmp_path) == str(tmp_path / "go-bin" / "go")
    (tmp_path / "go-bin" / "go").unlink()
    monkeypatch.setattr(build, "OWN_GO", "no-such-folder")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.find_go(tmp_path) == str(fetched)
    fetched.unlink()
    assert build.find_go(tmp_path) is None
