# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles are thin: one module does the work, and every variable that a role takes reaches it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from steps import ROOT

ROLES = ROOT / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir())
DOORS = ("destination_rule", "host_rewrite", "route_alias", "service_protocol")
PATH = ("grafana_namespace", "grafana_name", "grafana_kind", "datasource_url", "datasource_uid", "proxies")
MODULES = ROOT / "plugins" / "modules"


@cache
def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return found


def tasks(role: str) -> Iterator[dict[str, Any]]:
    for path in sorted((ROLES / role / "tasks").glob("*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def module_options(module: str) -> dict[str, Any]:
    """The options that a module documents, with those of the fragments that its options stand in."""
    text = (MODULES / f"{module}.py").read_text(encoding="utf-8")
    [own] = re.findall(r'^DOCUMENTATION = r"""\n(.*?)^"""', text, re.DOTALL | re.MULTILINE)
    documented = yaml.safe_load(own)
    named = {name.rpartition(".")[2] for name in documented["extends_documentation_fragment"]}
    found: dict[str, Any] = {}
    for fragment in named & {"query_path", "plan", "proof"}:
        text = (ROOT / "plugins" / "doc_fragments" / f"{fragment}.py").read_text(encoding="utf-8")
        [shared] = re.findall(r'DOCUMENTATION = r"""\n(.*?)^"""', text, re.DOTALL | re.MULTILINE)
        found |= yaml.safe_load(shared)["options"]
    return {**found, **(documented.get("options") or {})}


@pytest.mark.parametrize("role", NAMES)
def test_every_role_takes_the_path_in_the_same_words(role: str) -> None:
    for name in PATH:
        given, module = options(role)[f"{role}_{name}"], module_options("query_path_info")[name]
        assert given["type"] == module["type"]
        assert given.get("choices") == module.get("choices")
        assert given.get("required") == module.get("required")
        assert (given.get("default") or None) == (module.get("default") or None)


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_is_used(role: str) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROLES / role / "tasks").glob("*.yml"))
    assert [name for name in options(role) if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("role", NAMES)
def test_module_arguments_are_options_of_the_module(role: str) -> None:
    for task in tasks(role):
        for action, arguments in task.items():
            if action.startswith("meshops.istio_remediation.query_path_"):
                assert set(arguments) <= set(module_options(action.rpartition(".")[2]))


@pytest.mark.parametrize("role", NAMES)
def test_no_task_hides_logic(role: str) -> None:
    """No facts that later tasks depend on, and no Jinja longer than a line."""
    for path in (ROLES / role).rglob("*.yml"):
        text = path.read_text(encoding="utf-8")
        assert "set_fact" not in text
        assert "{%" not in text
        assert not re.search(r"\{\{[^}]*\n", text), f"{path.relative_to(ROOT)} has Jinja longer than a line"


@pytest.mark.parametrize("role", DOORS)
def test_named_door_is_remediate_with_the_strategy_fixed(role: str) -> None:
    [task] = tasks(role)
    assert task["ansible.builtin.include_role"] == {"name": "meshops.istio_remediation.remediate"}
    passed = task["vars"]
    assert passed.pop("remediate_strategy") == role
    assert passed == {f"remediate_{name.removeprefix(f'{role}_')}": f"{{{{ {name} }}}}" for name in options(role)}
    left_out = {f"remediate_{name}" for name in ("strategy", "protocol", "annotate", "rehearse", "retries")}
    assert set(options("remediate")) - set(passed) <= left_out


def test_strategies_and_protocols_are_those_of_the_module() -> None:
    module = module_options("query_path_remediation")
    for name in ("strategy", "protocol"):
        assert sorted(options("remediate")[f"remediate_{name}"]["choices"]) == sorted(module[name]["choices"])


@pytest.mark.parametrize("role", NAMES)
def test_readme_shows_how_to_call_the_role(role: str) -> None:
    text = Path(ROLES / role / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    [play] = yaml.safe_load(example)
    [call] = play["roles"]
    assert call["role"] == f"meshops.istio_remediation.{role}"
    assert {name for name, option in options(role).items() if option.get("required")} <= set(call["vars"])
    assert set(call["vars"]) <= set(options(role))
