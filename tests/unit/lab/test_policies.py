# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the policies' test that need no lab: policies from seeds, and what counts as wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from policies.generator import conditions, operations, policy, sources
from policies.judge import ANONYMOUS, Measured, judge

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects

POD = {
    "kind": "Pod",
    "metadata": {"name": "prometheus-0", "namespace": "monitoring", "labels": {"app.kubernetes.io/name": "prometheus"}},
    "spec": {"containers": []},
}
SERVER = objects.group_by_workload((objects.pod(POD),))[0]
EVERYBODY, NOBODY = {"client2": True, ANONYMOUS: True}, {"client2": False, ANONYMOUS: False}
CLIENT2 = {"client2": True, ANONYMOUS: False}


def allow(*rules: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "az", "namespace": "monitoring"}
    return {"kind": "AuthorizationPolicy", "metadata": metadata, "spec": {"action": "ALLOW", "rules": list(rules)}}


def test_a_seed_is_a_policy_and_every_field_occurs() -> None:
    assert policy(7) == policy(7)
    texts = json.dumps([policy(seed) for seed in range(1, 201)])
    for name in (*sources(), *operations(), *(entry["key"] for entry in conditions())):
        assert f'"{name}"' in texts
    for action in ("ALLOW", "DENY", "AUDIT", "CUSTOM"):
        assert f'"action": "{action}"' in texts


@pytest.mark.parametrize(
    ("rule", "http", "tcp", "right"),
    [
        ({"to": [{"operation": {"methods": ["GET"]}}]}, EVERYBODY, NOBODY, True),
        ({"to": [{"operation": {"methods": ["GET"]}}]}, EVERYBODY, EVERYBODY, False),
        ({"from": [{"source": {"namespaces": ["monitoring"]}}]}, CLIENT2, CLIENT2, True),
        ({"from": [{"source": {"namespaces": ["monitoring"]}}]}, CLIENT2, NOBODY, False),
        ({}, EVERYBODY, EVERYBODY, True),
        ({}, NOBODY, EVERYBODY, False),
    ],
)
def test_what_comes_otherwise_than_predicted_is_wrong(
    rule: dict[str, Any], http: dict[str, bool], tcp: dict[str, bool], right: bool
) -> None:
    result = judge(Measured(allow(rule), http, tcp), SERVER)
    assert (not result.wrong) is right
    assert (result.decided, result.open) == (4, 0)


def test_access_that_changes_without_an_effect_by_name_is_wrong() -> None:
    rule = {"when": [{"key": "source.ip", "values": ["10.0.0.0/8"]}]}
    result = judge(Measured(allow(rule), EVERYBODY, NOBODY), SERVER)
    assert result.open == 4
    assert result.wrong == ["the effects are [], yet client2, nobody lost access"]
    result = judge(Measured(allow(rule), NOBODY, EVERYBODY), SERVER)
    assert result.wrong == ["the effects are [], yet client2, nobody gained access"]
