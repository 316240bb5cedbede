# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a sidecar has all that was written, and what it then has."""

from __future__ import annotations

import time

from meshlab import waiting
from meshlab.api import Manifest
from meshlab.errors import LabError

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import envoy_plain
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import Dump
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import envoy

MARK = "settled-"
PATIENCE = 20.0
# Where a machine has no inotify instance left (README.md), Envoy aborts; it is started anew, later each time.
RESTART = 150.0
# Envoy gets clusters, endpoints and listeners before routes: what the mark promises has then arrived as well.
REST = 0.15


def mark(namespace: str, name: str) -> Manifest:
    """A policy that nobody meets: when Envoy has it, it has all that was written before. name: begins with MARK."""
    rule = {"from": [{"source": {"principals": ["nowhere/ns/none/sa/none"]}}]}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"action": "DENY", "rules": [rule]},
    }


def wait(client: Client, namespace: str, pod: str, name: str) -> None:
    """Wait until a pod's sidecar has the mark of that name. Raises LabError."""
    waiting.until(
        lambda: any(
            f"policy[{name}]" in found.name
            for entry in dump(client, namespace, pod, "virtualInbound").listeners
            for chain in entry.chains
            for found in chain.rules
        ),
        f"istiod's push to {namespace}/{pod}",
        PATIENCE,
        pause=0.1,
    )


def dump(client: Client, namespace: str, pod: str, names: str) -> Dump:
    """What a pod's sidecar has under names that a regular expression matches. Raises LabError."""
    need = Need("envoy", "Pod", namespace, pod, container="istio-proxy", command=(names,))
    deadline = time.monotonic() + RESTART
    while (answer := envoy.config_dump(client, need)).problem:
        if time.monotonic() > deadline:
            raise LabError(f"{answer.problem}.")
        time.sleep(1.0)
    return envoy_plain.from_object(answer.objects[0])
