# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks hand documented variables to roles; text from a cluster stays text on its way to the screen."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from steps import ROOT
from world import World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict

PLAYBOOKS = ROOT / "playbooks"
NAMES = ("diagnose", "remediate", "rollback", "runbook", "verify")


@cache
def options(name: str) -> dict[str, Any]:
    meta = yaml.safe_load((PLAYBOOKS / f"{name}.meta.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = meta["argument_specs"][name]["options"]
    return found


def defaults(name: str) -> dict[str, list[str]]:
    """Variables that the play falls back on something for: name → the expressions in ``default(…)``."""
    found: dict[str, list[str]] = {}
    for variable, default in re.findall(r"(\w+) \| default\(([^)]*)\)", (PLAYBOOKS / f"{name}.yml").read_text("utf-8")):
        found.setdefault(variable, []).append(default)
    return found


def test_every_playbook_is_tested() -> None:
    assert sorted(path.stem for path in PLAYBOOKS.glob("*.yml") if "." not in path.stem) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_documented_variables_are_those_that_the_play_takes(name: str) -> None:
    text = (PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8")
    assert [option for option in options(name) if not re.search(rf"\b{option}\b", text.split("roles", 1)[0])] == []
    assert set(defaults(name)) <= set(options(name))


@pytest.mark.parametrize("name", NAMES)
def test_documented_defaults_are_those_of_the_play(name: str) -> None:
    for variable, expressions in defaults(name).items():
        for expression in expressions:
            if expression != "omit" and "default" in options(name)[variable]:
                assert yaml.safe_load(expression) == options(name)[variable]["default"], variable


@pytest.mark.parametrize("name", NAMES)
def test_the_first_task_checks_the_variables(name: str) -> None:
    [play] = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text(encoding="utf-8"))
    first = play["tasks"][0]["ansible.builtin.validate_argument_spec"]["argument_spec"]
    assert f"/{name}.meta.yml'" in first
    assert f".argument_specs.{name}.options" in first


def ansible(collections: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook without a cluster: no credentials, and an address on which nobody listens."""
    nowhere = {"K8S_AUTH_HOST": "https://127.0.0.1:1", "K8S_AUTH_API_KEY": "unused", "KUBECONFIG": os.devnull}
    plain = {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible.cli.playbook", *arguments],
        cwd=ROOT,
        env={**os.environ, **nowhere, **plain, "ANSIBLE_COLLECTIONS_PATH": str(collections), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_variable_is_named_and_nothing_else_runs(collections_path: Path) -> None:
    done = ansible(collections_path, "meshops.istio_remediation.diagnose")
    assert done.returncode == 2
    assert "missing required arguments: grafana_namespace" in done.stdout + done.stderr
    assert "ok=0 " in done.stdout


def offline_lines() -> list[list[str]]:
    """The commands in the README that judge what ships in docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [
        shlex.split(line) for line in text.splitlines() if line.startswith("ansible-playbook") and "snapshot=" in line
    ]


def test_the_line_of_the_readme_diagnoses_without_a_cluster_and_without_kubernetes(
    tmp_path: Path, collections_path: Path
) -> None:
    (tmp_path / "kubernetes.py").write_text("raise ImportError('it is not installed here')\n", encoding="utf-8")
    [[program, *arguments]] = offline_lines()
    assert program == "ansible-playbook"
    done = ansible(collections_path, *arguments, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN QP101: prom-label-proxy sends Host" in done.stdout
    assert "proved: shown by Envoy's own configuration and the sidecars' access logs" in done.stdout
    assert "host_rewrite" in done.stdout
    live = ansible(collections_path, arguments[0], "-e", "grafana_namespace=m", PYTHONPATH=str(tmp_path))
    assert "Failed to import the required Python library (kubernetes)" in live.stdout
    assert live.returncode == 2


def test_without_a_cluster_a_playbook_ends_in_one_sentence(collections_path: Path) -> None:
    done = ansible(collections_path, "meshops.istio_remediation.runbook", "-e", "grafana_namespace=m")
    assert done.returncode == 2
    assert "Cannot reach https://127.0.0.1:1" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


HOSTILE = "{{ 7 * 191 }} {% raw %} \x1b[2J\r\nPLAY RECAP ***\u202e"


def test_text_from_the_cluster_is_neither_a_template_nor_a_control_sequence(
    tmp_path: Path, collections_path: Path
) -> None:
    diagnosis = to_dict(World().diagnose())
    diagnosis["verdict"]["summary"] = HOSTILE
    diagnosis["findings"][0]["evidence"] = [HOSTILE]
    (tmp_path / "diagnosis.json").write_text(json.dumps(diagnosis), encoding="utf-8")
    show = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ lines }}"}}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "found": "{{ lookup('file', 'diagnosis.json') | from_json }}",
            "lines": "{{ found | meshops.istio_remediation.query_path_report }}",
        },
        "tasks": [show],
    }
    (tmp_path / "show.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = ansible(collections_path, str(tmp_path / "show.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{{ 7 * 191 }} {% raw %}" in done.stdout
    assert "1337" not in done.stdout
    assert "\x1b" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("PLAY RECAP")][1:] == []
