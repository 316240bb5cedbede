# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistake of ours ends in a sentence too: what happened, whether something was written, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from world import NS

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import executor
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import collect
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_info, query_path_remediation
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

SECRET = "glsa_canary51c9"


def stumble(*_arguments: Any, **_options: Any) -> None:
    raise LookupError(f"no hop\nfor Bearer {SECRET}")


def test_before_anything_is_written(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    load(server)
    monkeypatch.setattr(collect, "collect", stumble)
    result = run_module(query_path_info, host=server.url, api_key="token", grafana_namespace=NS)
    assert result["msg"] == (
        "This collection has a defect: LookupError: no hop for Bearer ***. Nothing was written. Please report it, "
        "run with ANSIBLE_DISPLAY_TRACEBACK=error and -vvv."
    )
    assert (result["failed"], result["changed"]) == (True, False)
    assert SECRET not in str(result)


def test_after_a_write(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    load(server)
    monkeypatch.setattr(executor, "execute", stumble)
    result = run_module(query_path_remediation, host=server.url, api_key="token", grafana_namespace=NS)
    assert (
        "Something may have been written: query_path_remediation_info tells of runs that did not end." in result["msg"]
    )
    assert (result["failed"], result["changed"]) == (True, True)
    monkeypatch.undo()
    taken_back = run_module(
        query_path_remediation, host=server.url, api_key="token", grafana_namespace=NS, state="reverted"
    )
    assert "failed" not in taken_back
