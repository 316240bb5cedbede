# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries a remedy beside production: on a copy of the proxy, with the queries and the judgement of the probe."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import lease, rights, run, shadow
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.lease import HeldError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.shadow import LeftError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import Diagnosis
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import grafana
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import WORKLOADS, Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import choice
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import shadow as shadows
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.json_patch import PatchError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import (
    HOST_CODES,
    HTTP_1_0_CODE,
    Remedy,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.shadow import Shadow
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.strategies import destination_rule
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import judge, probe
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.judge import Proof
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import AT_RISK, BROKEN


class Trial(NamedTuple):
    """namespace  of the Lease
    timeout    seconds until the copy is ready
    query, requests, tenants  as for `probe.options`
    """

    namespace: str
    timeout: float
    query: str
    requests: int
    tenants: dict[str, str]


class Tried(NamedTuple):
    """msg: one sentence. failed: unless the remedy is proved. result: what a module returns beside."""

    msg: str
    failed: bool
    result: dict[str, Any]


def sweep(client: Client, access: Access, diagnosis: Diagnosis, namespace: str, check_mode: bool) -> str:
    """Remove what rehearsals on this path left that were killed; the name of what was, or would be, removed, or "".

    Raises KubeError.
    """
    places = [hop.step.client.namespace for hop in diagnosis.path.hops[1:]]
    path_id = diagnosis.question.path_id
    return shadows.name(path_id) if run.sweep(client, access, namespace, path_id, places, check_mode) else ""


def rehearse(
    client: Client, access: Access, diagnosis: Diagnosis, remedy: Remedy, trial: Trial, check_mode: bool
) -> Tried:
    """What the remedy proves to be on a copy. Raises InputError, MissingRightsError and HeldError."""
    name = choice.name(remedy)
    try:
        copied = _copied(client, diagnosis, remedy)
    except (shadows.NotRehearsableError, PatchError) as reason:
        return Tried(f"{name} cannot be rehearsed, so nothing was begun. {reason}", True, {})
    access.require(rights.to_rehearse(copied.bodies, trial.namespace))
    result: dict[str, Any] = {"shadow": [objects.reference(body["kind"], body) for body in copied.bodies]}
    result["not_shown"] = list(copied.not_shown)
    try:
        proof = _proof(client, diagnosis, copied, trial, check_mode)
    except HeldError:
        raise
    except LeftError as error:
        return Tried(f"The rehearsal of {name} has left something. {error}", True, {**result, **_left(error)})
    except KubeError as error:
        return Tried(f"The rehearsal of {name} failed, and nothing is left of it: {error}", True, result)
    if proof is None:
        return Tried(f"Would rehearse {name} on {result['shadow'][0]}: {remedy.reason}", False, result)
    result |= {"result": proof.result, "checks": [check._asdict() for check in proof.checks]}
    if proof.result == judge.PASSED:
        server = diagnosis.path.hops[-1].step.server
        way = f"queries pass from a copy of the proxy to {server}, and it is proved"
        msg = f"Rehearsed {name}: {way}. Nothing was changed."
        return Tried(" ".join((msg, *copied.not_shown)), False, result)
    unkept = "; ".join(f"{check.name}: {check.text}" for check in proof.checks if check.result == proof.result)
    how = "fails" if proof.result == judge.FAILED else "is not proved, for not everything could be seen,"
    return Tried(f"{name} {how} in the rehearsal, nothing was changed: {unkept.rstrip('.')}.", True, result)


def _left(error: LeftError) -> dict[str, Any]:
    return {"left": [error.left], "changed": True}


def _copied(client: Client, diagnosis: Diagnosis, remedy: Remedy) -> Shadow:
    path, index = diagnosis.path, _ill_hop(diagnosis, remedy)
    workload = _workload(client, path, index)
    return shadows.build(path, index, workload, remedy.changes, diagnosis.question.path_id, secrets.token_hex(4))


def _proof(client: Client, diagnosis: Diagnosis, copied: Shadow, trial: Trial, check_mode: bool) -> Proof | None:
    """None in check mode."""
    path, path_id = diagnosis.path, diagnosis.question.path_id
    wanted = probe.options(path, f"n{secrets.token_hex(8)}", trial.query, trial.requests, trial.tenants)
    if check_mode:
        lease.look(client, trial.namespace, path_id)
        shadow.dry_run(client, copied.bodies)
        return None
    with run.beside(client, trial.namespace, path_id, copied, trial.timeout) as (pods, owned, clock):
        through = shadows.path_through(path, copied, owned, pods)
        seen = probe.observe(
            client,
            [_asked(client, pod, copied) for pod in pods],
            through,
            wanted,
            lambda observation: judge.judge(through, observation, alone=True).result != judge.INCONCLUSIVE,
            clock.sleep,
            copied.base,
        )
    return judge.judge(through, seen, alone=True)


def _ill_hop(diagnosis: Diagnosis, remedy: Remedy) -> int:
    """The hop that a fix is about, as the strategies choose it."""
    codes = destination_rule.CODES if remedy.strategy == destination_rule.NAME else (*HOST_CODES, HTTP_1_0_CODE)
    findings = diagnosis.judgement.findings
    ill = [f.hop for f in findings if f.code in codes and f.status in (BROKEN, AT_RISK) and f.hop >= 0]
    if not ill:
        raise shadows.NotRehearsableError("No hop of the path is ill by what this fix cures.")
    return min(ill)


def _workload(client: Client, path: Path, index: int) -> Object:
    proxy = path.hops[index].step.client
    if proxy.kind not in WORKLOADS:
        raise shadows.NotRehearsableError(f"{proxy} has no pod template that could be copied.")
    return client.get(proxy.kind, proxy.namespace, proxy.name)


def _asked(client: Client, pod: Pod, copied: Shadow) -> grafana.Grafana:
    port = objects.target_port(copied.port, pod)
    return grafana.proxy_by_port_forward(client, pod.namespace, pod.name, port, copied.host)
