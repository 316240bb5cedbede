# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the mesh configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from meshlab import istiod, mesh_config
from meshlab.errors import LabError
from meshlab.settings import Folders


class ConfigMapApi:
    """An API server that knows one ConfigMap."""

    def __init__(self, mesh: str) -> None:
        self.mesh = mesh

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/istio-system/configmaps/istio"
        return {"data": {"mesh": self.mesh}}

    def request(self, method: str, path: str, body: Any, content_type: str) -> None:
        assert (method, content_type) == ("PATCH", "application/merge-patch+json")
        assert path == "/api/v1/namespaces/istio-system/configmaps/istio"
        self.mesh = body["data"]["mesh"]


def test_values_are_yaml() -> None:
    parsed = mesh_config.parse_assignments(["enableAutoMtls=false", "a.b=X", "c=1", "d=a=b"])
    assert parsed == [(["enableAutoMtls"], False), (["a", "b"], "X"), (["c"], 1), (["d"], "a=b")]


@pytest.mark.parametrize("argument", ["foo", "=x", "a..b=1", ".=1"])
def test_an_argument_that_is_no_assignment_is_named(argument: str) -> None:
    with pytest.raises(LabError, match="is not of the form KEY=VALUE"):
        mesh_config.parse_assignments([argument])


def test_a_value_that_is_not_yaml_is_named() -> None:
    with pytest.raises(LabError, match="is not YAML"):
        mesh_config.parse_assignments(["a={"])


def test_assign_leaves_the_original_alone() -> None:
    config = {"a": {"b": 1}, "c": 2}
    assert mesh_config.assign(config, ["a", "d"], 3) == {"a": {"b": 1, "d": 3}, "c": 2}
    assert mesh_config.assign(config, ["c", "x"], 3) == {"a": {"b": 1}, "c": {"x": 3}}
    assert config == {"a": {"b": 1}, "c": 2}


@pytest.mark.parametrize(
    ("effective", "path", "value", "expected"),
    [
        ({"accessLogEncoding": "JSON"}, ["accessLogEncoding"], "JSON", True),
        ({"accessLogEncoding": "JSON"}, ["accessLogEncoding"], "TEXT", False),
        ({}, ["accessLogEncoding"], "TEXT", True),
        ({}, ["accessLogEncoding"], "JSON", False),
        ({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}, ["outboundTrafficPolicy", "mode"], "REGISTRY_ONLY", False),
        ({"outboundTrafficPolicy": {}}, ["outboundTrafficPolicy", "mode"], "REGISTRY_ONLY", True),
        ({"extensionProviders": [{"name": "envoy"}, {"name": "x"}]}, ["extensionProviders"], [{"name": "x"}], True),
        ({"extensionProviders": [{"name": "envoy"}]}, ["extensionProviders"], [{"name": "x"}], False),
        ({"enableAutoMtls": True}, ["enableAutoMtls"], False, False),
        ({"enableAutoMtls": False}, ["enableAutoMtls"], False, True),
    ],
)
def test_what_istiod_shows(effective: dict[str, Any], path: list[str], value: Any, expected: bool) -> None:
    assert mesh_config.shows(effective, path, value) is expected


def test_change_waits_until_istiod_works_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"enableAutoMtls": True}, {"enableAutoMtls": False}])
    monkeypatch.setattr(istiod, "effective_mesh_config", lambda: next(answers))
    api = ConfigMapApi("trustDomain: cluster.local\n")
    mesh_config.change(api, ["enableAutoMtls=false"])
    assert api.mesh == "enableAutoMtls: false\ntrustDomain: cluster.local\n"
    assert list(answers) == []


def test_a_change_that_istiod_does_not_take_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(istiod, "effective_mesh_config", dict)
    monkeypatch.setattr(mesh_config, "PATIENCE", 0.01)
    api = ConfigMapApi("trustDomain: cluster.local\n")
    with pytest.raises(LabError, match="a setting that it does not know"):
        mesh_config.change(api, ["nosuch=1"])
    assert api.mesh == "trustDomain: cluster.local\n"


def test_reset_goes_back_to_what_was_saved(monkeypatch: pytest.MonkeyPatch, lab_folders: Folders) -> None:
    lab_folders.state.mkdir()
    monkeypatch.setattr(istiod, "effective_mesh_config", lambda: {"accessLogEncoding": "JSON"})
    api = ConfigMapApi("accessLogEncoding: JSON\n")
    mesh_config.save(api, lab_folders)
    assert json.loads(mesh_config.saved(lab_folders).read_text())["effective"] == {"accessLogEncoding": "JSON"}
    api.mesh = "accessLogEncoding: TEXT\n"
    mesh_config.reset(api, lab_folders)
    assert api.mesh == "accessLogEncoding: JSON\n"


def test_reset_without_a_record_says_so(lab_folders: Folders) -> None:
    with pytest.raises(LabError, match="start the lab again"):
        mesh_config.reset(ConfigMapApi(""), lab_folders)
