# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of the repository as a whole: metadata, roles, pages, licences, sizes."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import repository
import rule_docs
import tree
import yaml
from steps import ROOT

ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"))
PLAYBOOKS = sorted(path for path in (ROOT / "playbooks").glob("*.yml") if not path.name.endswith(".meta.yml"))
SCENARIOS = sorted(path.parent for path in (ROOT / "extensions" / "molecule").glob("*/molecule.yml"))
# What is of use only with a checkout, where make and the lab are.
UNPUBLISHED = ("extensions/", "tests/lab/", "tests/tools/", "tests/unit/")
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")


def load(path: str | Path) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_every_role_has_an_argument_specification() -> None:
    roles = sorted(path for path in (ROOT / "roles").glob("*") if path.is_dir())
    assert roles, "roles holds no role"
    assert roles == ROLES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_argument_specification_agree(role: Path) -> None:
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    defaults = load(role / "defaults" / "main.yml") if (role / "defaults" / "main.yml").exists() else {}
    assert repository.disagreements(specs, defaults or {}, role.name) == []


@pytest.mark.parametrize(
    ("options", "defaults", "problem"),
    [
        ({"r_a": {"type": "str"}}, {}, "r_a is no default"),
        ({}, {"r_a": 1}, "r_a is not specified"),
        ({"r_a": {"required": True}}, {"r_a": 1}, "r_a is required and has a default"),
        ({"r_a": {"default": 1}}, {"r_a": 2}, "r_a has the default 2, but 1 is specified"),
        ({"a": {"default": 1}}, {"a": 1}, "a does not start with r_"),
    ],
)
def test_disagreement_is_seen(options: dict[str, Any], defaults: dict[str, Any], problem: str) -> None:
    assert repository.disagreements({"main": {"options": options}}, defaults, "r") == [problem]


def test_agreement_is_no_disagreement() -> None:
    options = {"r_a": {"required": True}, "r_b": {"default": [1]}, "r_c": {"type": "str"}}
    assert repository.disagreements({"main": {"options": options}}, {"r_b": [1], "r_c": ""}, "r") == []


def test_action_group_holds_every_module_of_the_query_path() -> None:
    group = load("meta/runtime.yml")["action_groups"]["query_path"]
    assert group == [name for name in MODULES if name.startswith("query_path_")]


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_playbook_can_be_named_in_full_and_aimed_elsewhere(playbook: Path) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*\.yml", playbook.name), "a hyphen makes the full name unusable"
    for play in load(playbook):
        if "ansible.builtin.import_playbook" not in play:
            assert "default('localhost')" in play["hosts"], "hosts is a variable that falls back to localhost"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_scenario_has_the_playbooks_that_molecule_would_silently_skip(scenario: Path) -> None:
    settings = {**load("extensions/molecule/config.yml"), **(load(scenario / "molecule.yml") or {})}
    for playbook in settings["scenario"]["test_sequence"]:
        given = settings.get("ansible", {}).get("playbooks", {}).get(playbook, f"{playbook}.yml")
        assert (scenario / given).is_file(), f"the step {playbook} has no playbook"


def test_every_rule_has_its_page() -> None:
    wanted = rule_docs.pages(rule_docs.rule_modules())
    assert rule_docs.differences(wanted, rule_docs.found_pages()) == []


def test_pages_that_differ_are_seen() -> None:
    wanted = {"QP1.md": "new", "QP2.md": "x"}
    assert rule_docs.differences(wanted, {"QP1.md": "old", "QP3.md": "y"}) == [
        "docs/rules/QP2.md is missing",
        "docs/rules/QP1.md is outdated",
        "docs/rules/QP3.md belongs to no rule",
    ]


def test_no_sanity_failure_is_ignored() -> None:
    ignores = sorted((ROOT / "tests" / "sanity").glob("ignore-*.txt"))
    assert ignores, "tests/sanity holds no ignore file"
    assert [path.name for path in ignores if path.read_text(encoding="utf-8")] == []


def test_every_file_is_fit_to_publish() -> None:
    files = tree.files()
    assert files, "git knows no file here"
    found = [problem for path in files for problem in repository.problems(path, (ROOT / path).read_bytes())]
    assert not found, "\n".join(found)


HEADER = "# SPDX-License-Identifier: GPL-3.0-or-later\n"


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("a.py", "import os\n", "names no licence in its first lines"),
        ("a.go", "package a\n", "names no licence in its first lines"),
        ("a.py", HEADER + "\n" * 350, "has 351 lines; split it (350 are allowed)"),
        ("a.md", "see /" + "root/x\n", "line 1 names a path of one machine"),
        ("a.md", "\n'/" + "home/me/x'\n", "line 2 names a path of one machine"),
        ("a.py", HEADER + "# TO" + "DO later\n", "line 2 leaves work undone"),
        ("a.py", HEADER + "x = 1  # no" + "qa\n", "line 2 silences a checker"),
        ("a.py", HEADER + "x = y  # type: ig" + "nore\n", "line 2 silences a checker"),
        ("a.txt", "-i https://py" + "pi.org/simple\n", "line 1 names a package registry"),
        ("a.bin", "a\0b", "is binary"),
    ],
)
def test_unfit_file_is_seen(path: str, text: str, problem: str) -> None:
    assert repository.problems(Path(path), text.encode()) == [f"{path} {problem}"]


@pytest.mark.parametrize(
    ("path", "text"),
    [("a.py", HEADER), ("go.sum", "x\n" * 1000), ("a.md", "https://example.org/root/x\n"), ("a/__init__.py", "")],
)
def test_fit_file_passes(path: str, text: str) -> None:
    assert repository.problems(Path(path), text.encode()) == []


def test_built_collection_holds_what_users_need_and_no_more(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ansible.cli.galaxy",
        "collection",
        "build",
        "--output-path",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    [archive] = tmp_path.glob("meshops-istio_remediation-*.tar.gz")
    with tarfile.open(archive) as opened:
        names = opened.getnames()
    known = {path.as_posix() for path in tree.files()}
    made_by_galaxy = {"MANIFEST.json", "FILES.json"}
    files = [name for name in names if name not in made_by_galaxy and (ROOT / name).is_file()]
    assert [name for name in files if name not in known] == [], "files that git ignores are in the archive"
    assert [name for name in files if name.startswith((*UNPUBLISHED, "."))] == []
    assert {"LICENSE", "README.md", "meta/runtime.yml", "meta/ee-requirements.txt"} <= set(files)
