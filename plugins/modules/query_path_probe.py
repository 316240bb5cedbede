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
    that it causes, unless O(raise_log_level) allows more.
options:
  allow_inconclusive:
    description:
      - Whether to succeed where the result is V(inconclusive).
    type: bool
    default: false
  raise_log_level:
    description:
      - Whether to raise the log level of the sidecars on the path while the queries run, so that their debug lines tell
        what no access log tells. Envoy's loggers C(router) and C(connection) are set to C(debug); where they already
        are, nothing is done.
      - The levels that were found are put back by a process in the sidecar itself, as soon as the run ends or its
        connection breaks, at the latest after two minutes. So they are put back where the run is killed, too.
        RV(log_levels) says whether that was seen.
      - For that time the sidecars' container logs hold the headers of every request, credentials and cookies among
        them. The module keeps nothing of them but what identifies a request and its client's certificate.
      - Needs C(pods/exec) (C(exec.yaml)), and a shell in the sidecar's image. In Istio's C(distroless) images nothing
        is raised, because nothing there could put the levels back.
      - In check mode nothing is raised.
      - Hops over TCP stay as they are without it, since debug lines name no request there.
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

- name: Prove it where the mesh writes no access logs
  meshops.istio_remediation.query_path_probe:
    grafana_namespace: monitoring
    raise_log_level: true
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
log_levels:
  description: What was done to the log level of each sidecar on the path.
  returned: when the probe could be made and O(raise_log_level) is set
  type: list
  elements: dict
  contains:
    pod:
      description: The pod, as C(namespace/name).
      type: str
      returned: always
    before:
      description: Those of Envoy's loggers that were to be raised, with their levels as found.
      type: str
      returned: always
      sample: router:warning,connection:warning
    raised:
      description: The same loggers with their levels during the probe; empty where nothing was raised.
      type: str
      returned: always
      sample: router:debug,connection:debug
    put_back:
      description: Whether the levels were seen to stand as before at the end.
      type: bool
      returned: always
    problem:
      description: Why nothing was raised; empty where it was, and where the level was high enough already.
      type: str
      returned: always
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
    "raise_log_level": {"type": "bool", "default": False},
    "expect_cluster_uid": {"type": "str"},
}


def work(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Ask, judge, and fail unless the path is proved."""
    import secrets

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import cluster
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove import judge, log_level, probe
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import rights

    params = module.params
    raises = params["raise_log_level"]
    access = Access(client)
    access.require(rights.to_probe(_module.question(params), not params["grafana_url"], raises))
    cluster_uid = cluster.identify(client, access, params["expect_cluster_uid"] or "")
    path, settled = _module.walk(client, params)
    wanted = probe.options(path, f"n{secrets.token_hex(8)}", *_module.proof_options(params))
    wanted = wanted._replace(settled=settled)
    grafanas = _grafanas(client, params, path)
    pods = probe.pods(path) if raises else []
    access.require(right for pod in pods for right in rights.execute(pod.namespace))
    with log_level.raised(client, [] if module.check_mode else pods) as levels:
        seen = probe.observe(
            client,
            grafanas,
            path,
            wanted,
            lambda observation: judge.judge(path, observation).result != judge.INCONCLUSIVE,
            debug=log_level.unheard(levels),
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
        **({"log_levels": [level._asdict() for level in levels]} if raises else {}),
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
