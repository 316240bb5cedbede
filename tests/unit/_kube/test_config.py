# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.config import connect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ConfigError,
    UnreachableError,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving
from ansible_collections.meshops.istio_remediation.tests.unit._kube.certificates import write_certificate
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import QUICK


def kubeconfig(url: str, token: str = "from-file") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": token}}, {"name": "v", "user": {"token": "other"}}],
        "contexts": [
            {"name": "first", "context": {"cluster": "c", "user": "u"}},
            {"name": "second", "context": {"cluster": "c", "user": "v"}},
        ],
        "current-context": "first",
    }


def authorization(server: ApiServer, **options: object) -> str:
    """The credentials that reach the API server when these options are given."""
    transport = connect(options, QUICK)
    try:
        Client(transport).list("Pod", "a")
    finally:
        transport.close()
    return server.requests[-1].headers.get("authorization", "")


def test_kubeconfig_as_a_dictionary(server: ApiServer) -> None:
    assert authorization(server, kubeconfig=kubeconfig(server.url)) == "Bearer from-file"
    assert authorization(server, kubeconfig=kubeconfig(server.url), context="second") == "Bearer other"


def test_kubeconfig_as_a_file_or_from_the_environment(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(kubeconfig(server.url)))
    assert authorization(server, kubeconfig=str(file)) == "Bearer from-file"
    before = file.read_text()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert authorization(server, kubeconfig="~/config", context="second") == "Bearer other"
    assert file.read_text() == before


def test_single_options_override_the_kubeconfig(server: ApiServer) -> None:
    config = kubeconfig("http://127.0.0.1:1")
    assert authorization(server, kubeconfig=config, host=f"{server.url}/") == "Bearer from-file"
    assert authorization(server, kubeconfig=kubeconfig(server.url), api_key=" mine\n") == "Bearer mine"


def test_basic_authentication(server: ApiServer) -> None:
    expected = "Basic " + base64.b64encode(b"jane:s3cret").decode()
    assert authorization(server, host=server.url, username="jane", password="s3cret") == expected


def test_a_host_alone_is_asked_without_credentials(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    assert authorization(server, host=server.url) == ""


def test_service_account_of_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("pod-token")
    certificate, key = write_certificate(tmp_path)
    (folder / "ca.crt").write_bytes(certificate.read_bytes())
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
    with serving(ApiServer(), (certificate, key)) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
        assert authorization(server) == "bearer pod-token"


def test_certificates_are_verified_unless_switched_off(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    with serving(ApiServer(), (certificate, key)) as server:
        with pytest.raises(UnreachableError, match=r"TLS failed: .*; check ca_cert"):
            authorization(server, host=server.url, api_key="t")
        assert authorization(server, host=server.url, api_key="t", ca_cert=str(certificate)) == "Bearer t"
        assert authorization(server, host=server.url, api_key="t", validate_certs=False) == "Bearer t"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kubeconfig": "/does/not/exist"}, r"^The kubeconfig /does/not/exist cannot be used: .*Set kubeconfig"),
        ({"kubeconfig": {"kind": "Config"}}, r"^The kubeconfig that was given as a dictionary cannot be used: "),
        ({"kubeconfig": kubeconfig("http://127.0.0.1:1"), "context": "none"}, r"cannot be used: .*none"),
        ({"host": "http://127.0.0.1:1", "api_key": "a\nb"}, r"^The value of api_key holds characters"),
        ({"host": "http://127.0.0.1:1", "api_key": "x", "ca_cert": "/no/ca"}, r"^The file /no/ca of option ca_cert"),
        (
            {"host": "http://127.0.0.1:1", "api_key": "x", "impersonate_groups": ["sre"]},
            r"^impersonate_groups needs impersonate_user",
        ),
    ],
)
def test_unusable_options_are_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        connect(options)


PLUGIN = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./touch", "args": ["s3cret-canary"]}}


def with_program(url: str, folder: Path) -> dict[str, Any]:
    """A kubeconfig whose second context runs a program, which leaves a file behind and gives a token."""
    credential = {"apiVersion": PLUGIN["exec"]["apiVersion"], "kind": "ExecCredential", "status": {"token": "plugin"}}
    program = folder / "touch"
    program.write_text(f"#!/bin/sh\n: > {folder}/ran\necho '{json.dumps(credential)}'\n")
    program.chmod(0o700)
    plugin = {"exec": {**PLUGIN["exec"], "command": str(program), "interactiveMode": "Never"}}
    found = kubeconfig(url)
    found["users"][1]["user"] = plugin
    return found


@pytest.mark.parametrize("form", ["dictionary", "file", "one of two files", "environment"])
def test_a_program_is_run_only_for_who_allows_it(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    content = with_program(server.url, tmp_path)
    file, other = tmp_path / "config", tmp_path / "other"
    file.write_text(json.dumps(content))
    other.write_text(json.dumps({"current-context": "second"}))
    monkeypatch.setenv("KUBECONFIG", str(file))
    source = {"dictionary": content, "file": str(file), "one of two files": f"{other}:{file}"}.get(form)
    asked = {"kubeconfig": source, "context": "second"}
    with pytest.raises(ConfigError, match=r"runs the program '.*/touch' .* allow_credential_plugin: true") as error:
        connect(asked)
    assert not (tmp_path / "ran").exists()
    assert "s3cret-canary" not in str(error.value)
    assert authorization(server, **asked, allow_credential_plugin=True) == "Bearer plugin"
    assert (tmp_path / "ran").exists()
    # The program of a user that is not asked for does no harm.
    assert authorization(server, kubeconfig=source, context="first") == "Bearer from-file"


def test_the_current_context_s_program_is_refused_too(tmp_path: Path) -> None:
    content = with_program("http://127.0.0.1:1", tmp_path) | {"current-context": "second"}
    with pytest.raises(ConfigError, match="runs the program"):
        connect({"kubeconfig": content})


@pytest.mark.parametrize(
    ("cluster", "option", "warning"),
    [
        ({"insecure-skip-tls-verify": True}, {"validate_certs": False}, "insecure-skip-tls-verify"),
        (
            {"proxy-url": "http://me:s3cret@between:3128"},
            {"proxy": "http://mine:3128"},
            "through the proxy between:3128",
        ),
    ],
    ids=["unchecked certificate", "proxy"],
)
def test_what_a_kubeconfig_decides_alone_is_warned_of(
    cluster: dict[str, Any], option: dict[str, Any], warning: str
) -> None:
    content = kubeconfig("https://127.0.0.1:1")
    content["clusters"][0]["cluster"] |= cluster
    found = Client(connect({"kubeconfig": content})).warnings
    assert [warning in text for text in found] == [True]
    assert "s3cret" not in "".join(found)
    assert Client(connect({"kubeconfig": content, **option})).warnings == []


def test_a_broken_file_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("users:\n- name: u\n  user: {token: s3cret-canary\n")
    with pytest.raises(ConfigError, match=r"^The kubeconfig .*/config cannot be used: ") as error:
        connect({"kubeconfig": str(file)})
    assert "s3cret-canary" not in str(error.value)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("http://127.0.0.1:1", "[Cc]onnection refused"),
        ("http://name.invalid", "resol|Name or service|name resolution"),
        ("http://", "this is no URL of an API server"),
    ],
)
def test_unreachable_servers_say_why(host: str, why: str) -> None:
    transport = connect({"host": host, "api_key": "x"}, QUICK)
    transport.sleep = lambda _seconds: None
    with pytest.raises(UnreachableError, match=why) as error:
        Client(transport).list("Pod", "a")
    assert "object at 0x" not in str(error.value)
