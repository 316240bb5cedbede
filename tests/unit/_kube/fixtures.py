# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for every test that talks to an API server; a folder's conftest.py imports them by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.config import connect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.transport import Limits
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

TOKEN = "canary-token-7f3a"
QUICK = Limits(connect=2.0, read=0.6, total=5.0)


@pytest.fixture(autouse=True)
def _no_outer_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find a cluster of the machine that it runs on."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(ApiServer()) as running:
        yield running


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    """A client that waits for nothing between retries."""
    made = make_client(server)
    yield made
    made.transport.close()


def make_client(server: ApiServer, **options: object) -> Client:
    transport = connect({"host": server.url, "api_key": TOKEN, **options}, QUICK)
    transport.sleep = lambda _seconds: None
    return Client(transport)
