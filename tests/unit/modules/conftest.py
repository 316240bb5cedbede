# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import push, rollout
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import retry
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import probe
from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import _no_outer_cluster, server

__all__ = ["_no_outer_cluster", "server"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes time to come into effect here."""
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(push, "BLIND_SECONDS", 0.0)
    monkeypatch.setattr(rollout, "POLL", 0.01)
    monkeypatch.setattr(probe, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(probe, "CLOCK_SECONDS", 0.0)
