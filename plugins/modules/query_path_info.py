#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Diagnose a Grafana query path through an Istio mesh."""

from __future__ import annotations

DOCUMENTATION = r"""
module: query_path_info
short_description: Finds why Grafana's queries die on their way through an Istio mesh
version_added: 0.1.0
author:
  - Mesh operations maintainers (@meshops)
description:
  - Follows a data source's queries from Grafana, hop by hop and with the Host that is on the wire at each hop, to the
    server that answers. Says what Istio does with them and why, what the access logs of both sidecars show, and which
    fixes would work at what price.
  - Reads only what the path needs and changes nothing. A path in one namespace takes at most 25 requests, however large
    the cluster is; a further namespace takes a few more, and so does a snapshot to save.
  - With O(snapshot) it judges what was saved, with neither a cluster nor the C(kubernetes) package.
options:
  datasource_uids:
    description:
      - Several data sources of this Grafana, at most 20, each as O(datasource_uid) names it. What their paths share is
        read once.
      - The result has RV(paths) then, and a data source whose path cannot be followed is inconclusive in it.
      - Mutually exclusive with O(datasource_uid), O(datasource_url) and O(all_datasources).
    type: list
    elements: str
  all_datasources:
    description:
      - All data sources of type C(prometheus) of this Grafana, at most 20; as O(datasource_uids) does.
      - Those that were made in Grafana's UI are among them only with O(grafana_token).
    type: bool
    default: false
  snapshot:
    description:
      - Path of a snapshot that O(save_snapshot) wrote, or of a folder with manifests (C(kubectl get -o yaml) or a
        must-gather). It is judged in place of a live cluster.
      - What it does not hold is unknown, and the verdict says so.
    type: path
  save_snapshot:
    description:
      - Path of a file to write everything into that the verdict rests on, with secrets masked.
      - EnvoyFilters are listed in any case, so that O(assume) can judge the file without a cluster.
      - It is written in check mode too, for it is part of the answer and changes nothing in the cluster.
    type: path
  assume:
    description:
      - What if. Assumptions that are laid over what is read and judged by the same rules. Access logs play no part
        then.
    type: dict
    suboptions:
      peer_authentication:
        description:
          - The mode that every sidecar has, in the place of all PeerAuthentications.
        type: str
        choices: [STRICT, PERMISSIVE, DISABLE]
      mesh:
        description:
          - Settings of MeshConfig, such as C(outboundTrafficPolicy), laid over those of the mesh.
        type: dict
  with_manifests:
    description:
      - What if. Objects as they would be applied, each a path of a YAML file or a dictionary.
    type: list
    elements: raw
extends_documentation_fragment:
  - meshops.istio_remediation.auth
  - meshops.istio_remediation.query_path
  - meshops.istio_remediation.attributes
  - meshops.istio_remediation.attributes.info_module
  - meshops.istio_remediation.attributes.action_group
seealso:
  - module: meshops.istio_remediation.query_path_remediation
  - module: meshops.istio_remediation.query_path_probe
"""

EXAMPLES = r"""
- name: Diagnose the only Prometheus data source of Grafana
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
  register: diagnosis

- name: Diagnose one of several data sources
  meshops.istio_remediation.query_path_info:
    kubeconfig: ~/.kube/config
    context: production
    grafana_namespace: monitoring
    datasource_uid: tenant-x

- name: Diagnose every Prometheus data source in one run, and show the worst path
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
    all_datasources: true
  register: diagnosis

- name: Diagnose a path through a proxy that is not known to the collection
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
    datasource_url: http://query-gateway.monitoring.svc:8080
    proxies:
      - workload: monitoring/query-gateway
        upstream: http://prometheus.monitoring.svc:9090
        host: preserve

- name: Ask what breaks on this path if the mesh goes STRICT tonight
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
    assume:
      peer_authentication: STRICT

- name: Judge a snapshot that a customer sent
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
    snapshot: customer.snapshot.json
"""

RETURN = r"""
verdict:
  description: The path in one sentence; of several paths that of the worst.
  returned: success
  type: dict
  contains:
    status:
      description: One of V(healthy), V(broken), V(at_risk) and V(inconclusive).
      type: str
    code:
      description: Code of the finding that decides, such as V(QP101); empty for a healthy path.
      type: str
    summary:
      description: The sentence.
      type: str
    certainty:
      description:
        - V(proved) where Envoy and the access logs both show what the configuration predicts, V(predicted) where one
          of them says nothing, or both, V(contradicted) where one of them differs.
      type: str
    witnesses:
      description: What configuration, Envoy and access logs each say about the hop that decides.
      type: list
      elements: dict
      contains:
        name:
          description: V(configuration), V(envoy) or V(logs).
          type: str
        says:
          description: What it says, or why it says nothing.
          type: str
        stance:
          description: V(agrees) or V(differs) with the configuration, or V(silent).
          type: str
    under:
      description: What the same path would do with another mTLS mode at the server, by mode.
      type: dict
paths:
  description:
    - One entry for each data source, the worst first, with RV(verdict), RV(datasource), RV(hops), RV(findings),
      RV(remedies) and RV(unknown) in it. These are not beside it then, except for RV(verdict) and for RV(unknown),
      which says why there may be more data sources.
  returned: with O(datasource_uids) or O(all_datasources)
  type: list
  elements: dict
datasource:
  description: The data source, and where it was found.
  returned: success
  type: dict
hops:
  description: The hops of the path, in the order in which a query takes them.
  returned: success
  type: list
  elements: dict
  contains:
    client:
      description: Workload that sends, as C(Kind/namespace/name).
      type: str
    server:
      description: Workload that receives, as C(Kind/namespace/name).
      type: str
    url:
      description: URL that the client dials.
      type: str
    host_on_wire:
      description: Host header with which the query leaves the client.
      type: str
    service:
      description: Service behind the URL, as C(namespace/name).
      type: str
    port:
      description: Port of the Service.
      type: int
    protocol:
      description: Protocol that Istio gives the port (C(kind)), and which declaration decides (C(why)).
      type: dict
    route:
      description: Where the client's sidecar sends the query, with the names of Envoy's listener, route and cluster.
      type: dict
    client_tls:
      description: How the client's sidecar speaks to the server.
      type: dict
    server_mtls:
      description: Which mTLS mode the server demands, and which policy says so.
      type: dict
    outcome:
      description: What follows for a query.
      type: dict
findings:
  description: What the rules found.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Stable code of the rule.
      type: str
    status:
      description: One of V(broken), V(at_risk), V(notice) and V(unknown).
      type: str
    where:
      description: The hop or the object.
      type: str
    summary:
      description: One sentence.
      type: str
    evidence:
      description: Lines of configuration and of access logs that show it.
      type: list
      elements: str
remedies:
  description: All fixes that are known, those that work first, the least harmful of them first.
  returned: success
  type: list
  elements: dict
  contains:
    strategy:
      description: Name of the fix for O(meshops.istio_remediation.query_path_remediation#module:strategy).
      type: str
    protocol:
      description: Value for O(meshops.istio_remediation.query_path_remediation#module:protocol); empty for other fixes.
      type: str
    applicable:
      description: Whether it would cure the path.
      type: bool
    reason:
      description: Why it does not apply, or what it does.
      type: str
    effects:
      description: What it does besides, each with the C(token) that consents to it.
      type: list
      elements: dict
    consent_needed:
      description: Tokens without which the fix is refused.
      type: list
      elements: str
    at_owner:
      description:
        - What to change where the owner of an object gets it from, because it may take a change of the live object
          back. Each has C(owner), C(object), C(form), C(how) and C(content).
      type: list
      elements: dict
    changes:
      description: Every change to the cluster with its way back.
      type: list
      elements: dict
    hash:
      description: Name of exactly this plan on exactly these objects.
      type: str
unknown:
  description: What could not be read or told, as sentences.
  returned: success
  type: list
  elements: str
api:
  description: What the diagnosis cost the API server.
  returned: success
  type: dict
  contains:
    requests:
      description: Number of requests.
      type: int
    bytes:
      description: Size of all answers.
      type: int
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _diagnosing, _module

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client


ONE_OR_SEVERAL = ("datasource_uid", "datasource_url", "datasource_uids", "all_datasources")
OPTIONS: dict[str, dict[str, Any]] = {
    "datasource_uids": {"type": "list", "elements": "str"},
    "all_datasources": {"type": "bool", "default": False},
    "snapshot": {"type": "path"},
    "save_snapshot": {"type": "path"},
    "assume": {
        "type": "dict",
        "options": {
            "peer_authentication": {"type": "str", "choices": ["STRICT", "PERMISSIVE", "DISABLE"]},
            "mesh": {"type": "dict"},
        },
    },
    "with_manifests": {"type": "list", "elements": "raw"},
}


def work(module: AnsibleModule, client: Client | None) -> dict[str, Any]:
    """Diagnose, and return the diagnosis as plain data."""
    from ansible_collections.meshops.istio_remediation.plugins.module_utils import _result

    if module.params["datasource_uids"] or module.params["all_datasources"]:
        result, question, snapshot = _diagnosing.diagnose_each(client, module.params)
    else:
        diagnosis, snapshot = _diagnosing.diagnose(client, module.params)
        result, question = _result.to_dict(diagnosis), diagnosis.question
    if module.params["save_snapshot"]:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import saved

        saved.save(module.params["save_snapshot"], question, snapshot)
    return {**result, "api": _module.api_usage(client)}


def main() -> None:
    """Run the module."""
    _module.run_offline_too(OPTIONS, work, mutually_exclusive=[ONE_OR_SEVERAL])


if __name__ == "__main__":
    main()
