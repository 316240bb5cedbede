#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove that a Grafana query path works."""

from __future__ import annotations

DOCUMENTATION = r"""
module: query_path_probe
short_description: Proves that Grafana's queries pass through an Istio mesh
version_added: 0.1.0
author:
  - Mesh operations maintainers (@meshops)
description:
  - Sends queries through Grafana's data source, on new connections and until every ready replica of the proxy has
    served, and reads what the sidecars on the path logged about these very queries.
  - Tests that they are answered with series, that they travel by Istio's mTLS at every hop, and that the data source's
    tenant cannot read series of other tenants.
  - Not seeing is not success. What leaves no trace makes the result V(inconclusive).
  - Changes nothing in the cluster. It creates no object; the queries themselves and the port-forward to Grafana are all
    that it causes.
options:
  allow_inconclusive:
    description:
      - Whether to succeed where the result is V(inconclusive).
    type: bool
    default: false
extends_documentation_fragment:
  - meshops.istio_remediation.auth
  - meshops.istio_remediation.cluster
  - meshops.istio_remediation.proof
  - meshops.istio_remediation.query_path
  - meshops.istio_remediation.attributes
  - meshops.istio_remediation.attributes.info_module
  - meshops.istio_remediation.attributes.action_group
notes:
  - Grafana asks for a token, so O(grafana_token) is needed unless anonymous access is on.
  - The access logs are read in any case, and Envoy is not asked; O(read_logs) and O(read_envoy) have no effect here.
seealso:
  - module: meshops.istio_remediation.query_path_info
  - module: meshops.istio_remediation.query_path_remediation
"""

EXAMPLES = r"""
- name: Prove the path, with Grafana's token in the environment (GRAFANA_TOKEN)
  meshops.istio_remediation.query_path_probe:
    grafana_namespace: monitoring

- name: Prove it from outside the cluster, for one of several data sources
  meshops.istio_remediation.query_path_probe:
    grafana_namespace: monitoring
    grafana_url: https://grafana.example.com
    grafana_token: "{{ vault_grafana_token }}"
    datasource_uid: tenant-x
    other_tenant: secret
"""

RETURN = r"""
result:
  description: One of V(passed), V(failed) and V(inconclusive).
  returned: when the probe could be made
  type: str
  sample: passed
msg:
  description: The result in one sentence.
  returned: always
  type: str
checks:
  description: Each promise that was tested.
  returned: when the probe could be made
  type: list
  elements: dict
  contains:
    name:
      description: What was tested.
      type: str
      returned: always
    result:
      description: One of V(passed), V(failed) and V(inconclusive).
      type: str
      returned: always
    text:
      description: What was seen.
      type: str
      returned: always
replicas:
  description: How many of the probe's queries each ready replica of the first proxy was seen to serve.
  returned: when the probe could be made
  type: list
  elements: dict
  contains:
    pod:
      description: Name of the pod.
      type: str
      returned: always
    served:
      description: Number of queries.
      type: int
      returned: always
replies:
  description: How often each HTTP status came back; V(0) stands for no answer.
  returned: when the probe could be made
  type: dict
  contains:
    own:
      description: To queries of the own tenant.
      type: dict
      returned: always
    foreign:
      description: To queries for series of other tenants.
      type: dict
      returned: always
tenant_label:
  description: The label by which tenants are kept apart; empty where the path has no such proxy.
  returned: when the probe could be made
  type: str
tenant:
  description: The tenant of the data source.
  returned: when the probe could be made
  type: str
nonce:
  description: The word by which the probe's queries are found in access logs.
  returned: when the probe could be made
  type: str
cluster_uid:
  description: Uid of the namespace C(kube-system), for O(expect_cluster_uid); empty where it may not be read.
  returned: when the probe could be made
  type: str
api:
  description: Number of requests to the API server and size of their answers.
  returned: when the probe could be made
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.grafana import Grafana
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.observation import Reply

OPTIONS: _module.Spec = {
    **_module.PROOF_OPTIONS,
    "allow_inconclusive": {"type": "bool", "default": False},
    "expect_cluster_uid": {"type": "str"},
}


def work(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Ask, judge, and fail unless the path is proved."""
    import secrets

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import cluster
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import judge, probe
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.rights import to_probe

    params = module.params
    access = Access(client)
    access.require(to_probe(_module.question(params), by_port_forward=not params["grafana_url"]))
    cluster_uid = cluster.identify(client, access, params["expect_cluster_uid"] or "")
    path, settled = _module.walk(client, params)
    wanted = probe.options(path, f"n{secrets.token_hex(8)}", *_module.proof_options(params))
    wanted = wanted._replace(settled=settled)
    seen = probe.observe(
        client,
        _grafanas(client, params, path),
        path,
        wanted,
        lambda observation: judge.judge(path, observation).result != judge.INCONCLUSIVE,
    )
    proof = judge.judge(path, seen)
    result = {
        "result": proof.result,
        "checks": [check._asdict() for check in proof.checks],
        "replicas": [{"pod": pod, "served": served} for pod, served in proof.served],
        "replies": {"own": _statuses(seen.own), "foreign": _statuses(seen.foreign)},
        "tenant_label": wanted.tenant_label,
        "tenant": wanted.tenant,
        "nonce": wanted.nonce,
        "cluster_uid": cluster_uid,
        "api": _module.api_usage(client),
    }
    unkept = [f"{check.name}: {check.text}" for check in proof.checks if check.result == proof.result]
    if proof.result == judge.PASSED:
        return {**result, "msg": f"Queries pass from {path.grafana} to {path.hops[-1].step.server}, and it is proved."}
    if proof.result == judge.FAILED:
        raise _module.FailError(f"The path is not sound: {'; '.join(unkept).rstrip('.')}.", result)
    sentence = f"The path is not proved, for not everything could be seen: {'; '.join(unkept).rstrip('.')}."
    if params["allow_inconclusive"]:
        return {**result, "msg": sentence}
    raise _module.FailError(sentence, result)


def _grafanas(client: Client, params: _module.Params, path: Path) -> list[Grafana]:
    """Grafana at its URL, or each of its ready pods. Raises InputError, ConfigError."""
    at_url = _module.grafana_by_url(params)
    if at_url is not None:
        return [at_url]
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import grafana
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError

    ready = path.grafana.ready_pods
    if not ready:
        raise InputError(f"No pod of {path.grafana} is ready, so no query can be sent.")
    token = params["grafana_token"] or ""
    return [
        grafana.by_port_forward(client, pod.namespace, pod.name, grafana.container_port(pod.object), token)
        for pod in ready
    ]


def _statuses(replies: Sequence[Reply]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reply in replies:
        counts[str(reply.status)] = counts.get(str(reply.status), 0) + 1
    return counts


def main() -> None:
    """Run the module."""
    _module.run(OPTIONS, work)


if __name__ == "__main__":
    main()
