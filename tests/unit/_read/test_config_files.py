# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files in ConfigMaps: as texts and as documents, from a folder and a proposal, without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from world import NS, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import config_files
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.manifests import ManifestReader
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.overlay import Assumptions, OverlaidReader

CANARY = "c4n4ry-9f27"
TEXTS = Need("get", "ConfigMap", NS, "web")
DOCUMENTS = Need("get", "ConfigDocuments", NS, "web")


def config_map(**data: Any) -> dict[str, Any]:
    return {**obj("ConfigMap", "web", {}, annotations={"note": CANARY}), "data": data}


def folder(path: Path, found: dict[str, Any]) -> ManifestReader:
    (path / "configmaps.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    return ManifestReader(str(path))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f'proxy_set_header Authorization "Basic {CANARY}";', 'proxy_set_header Authorization "Basic ***";'),
        (f"proxy_set_header X-Api-Key {CANARY};", "proxy_set_header X-Api-Key ***;"),
        (f'client_secret = "{CANARY}"', 'client_secret = "***"'),
        (f"user admin password {CANARY}", "user admin password ***"),
        (f"insecure-password '{CANARY}'", "insecure-password '***'"),
        (f"header_up X-Token {CANARY}\n}}", "header_up X-Token ***\n}"),
        (f"proxy_pass http://u:{CANARY}@a:1;", "proxy_pass http://***@a:1;"),
        (f"RequestHeader set X-Token {CANARY}", "RequestHeader set X-Token ***"),
    ],
)
def test_a_secret_in_a_file_is_masked_and_its_structure_stays(text: str, masked: str) -> None:
    assert _redact.configuration(text) == masked
    assert CANARY not in str(config_files.texts(config_map(x=text)))


@pytest.mark.parametrize(
    "text",
    [
        "location / { proxy_pass http://a:1; proxy_pass_header Server; }",
        "ProxyPass / http://a:1/\nProxyPassReverse / http://a:1/",
        "pass_host_header = false",
        "http-request set-header Host prometheus",
        "location /token { return 404; }",
        "reverse_proxy a:1 {\n\theader_up Host {upstream_hostport}\n}",
    ],
)
def test_what_decides_is_not_masked(text: str) -> None:
    assert _redact.configuration(text) == text


@pytest.mark.parametrize("switch", ["OAUTH2_PROXY_PASS_HOST_HEADER", "pass-host-header", "pass-user-headers"])
def test_switches_of_oauth2_proxy_are_no_passwords(switch: str) -> None:
    assert not _redact.secret_name(switch)
    assert all(_redact.secret_name(name) for name in ("GF_AUTH_PASS", "db-pass", "PASS"))


def test_documents_are_decoded_and_masked_and_what_is_none_is_a_problem_of_its_key(tmp_path: Path) -> None:
    good = {"users": [{"username": "a", "password": CANARY, "url_prefix": f"http://u:{CANARY}@x"}], "since": 1}
    found = config_map(good=yaml.safe_dump(good), bad="a: [b", date="2026-11-24")
    answer = folder(tmp_path, found).read(DOCUMENTS)
    [decoded] = answer.objects
    assert decoded["documents"]["good"] == {
        "users": [{"username": "a", "password": "***", "url_prefix": "http://***@x"}],
        "since": 1,
    }
    assert decoded["documents"]["date"] == "2026-11-24"
    assert "no YAML" in decoded["problems"]["bad"]
    assert CANARY not in str(answer)


def test_texts_come_without_what_the_cluster_keeps_about_the_object(tmp_path: Path) -> None:
    [found] = folder(tmp_path, config_map(x="y")).read(TEXTS).objects
    assert found["data"] == {"x": "y"}
    assert CANARY not in str(found)


def test_a_config_map_that_is_not_there_is_no_problem_of_reading(tmp_path: Path) -> None:
    reader = folder(tmp_path, config_map())
    assert reader.read(TEXTS._replace(name="other")) == Answer()
    assert reader.read(DOCUMENTS._replace(name="other")) == Answer()


@pytest.mark.parametrize("need", [TEXTS, DOCUMENTS])
def test_a_proposed_file_is_laid_over_the_one_that_is_there(tmp_path: Path, need: Need) -> None:
    inner = folder(tmp_path, config_map(x="old: 1", y="kept: 1"))
    proposed = config_map(x="new: 2")
    reader = OverlaidReader(inner, Assumptions(manifests=(proposed,)), "istio-system")
    answer = reader.read(need)
    assert "new" in str(answer)
    assert "old" not in str(answer)
    assert "kept" in str(answer)
