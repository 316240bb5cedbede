# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which query path a module is about."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that name a query path and correct its discovery."""

    DOCUMENTATION = r"""
options:
  grafana_namespace:
    description:
      - Namespace of the Grafana workload from which queries start.
    type: str
    required: true
  grafana_name:
    description:
      - Name of the Grafana workload.
    type: str
    default: grafana
  grafana_kind:
    description:
      - Kind of the Grafana workload.
    type: str
    choices: [Deployment, StatefulSet, DaemonSet]
    default: Deployment
  grafana_url:
    description:
      - URL of Grafana, such as V(https://grafana.example.com). Without it, Grafana is asked by a port-forward to its
        pods where it has to be asked at all.
      - Can also be set by the environment variable E(GRAFANA_URL).
    type: str
  grafana_token:
    description:
      - Token of a Grafana service account; the role Viewer is enough.
      - With it, data sources that are in no provisioning ConfigMap are looked up in Grafana.
      - Can also be set by the environment variable E(GRAFANA_TOKEN).
    type: str
  grafana_validate_certs:
    description:
      - Whether to verify the certificate of O(grafana_url).
    type: bool
    default: true
  datasource_uid:
    description:
      - The C(uid) of the data source, looked up in the provisioning ConfigMaps, in Secrets if O(read_secrets) allows
        it, in GrafanaDatasources of grafana-operator, and then in Grafana.
      - A data source whose provisioning file gives no uid goes by its name.
      - Without it and without O(datasource_url), the only data source of type C(prometheus) is taken.
    type: str
  read_secrets:
    description:
      - Whether to read the Secrets that provision Grafana's data sources, as those of kube-prometheus do.
      - Nothing is kept of them but each source's uid, name, type and address, and whether it sends a Host header of its
        own. Parameters in it that say which tenant is asked for are not kept either.
    type: bool
    default: false
  datasource_url:
    description:
      - URL to which the data source sends queries; nothing is looked up then.
    type: str
  proxies:
    description:
      - What is known about workloads on the path that discovery cannot read.
    type: list
    elements: dict
    default: []
    suboptions:
      workload:
        description:
          - The workload, as C(namespace/name).
        type: str
        required: true
      upstream:
        description:
          - URL to which it sends queries; V(none) if it answers them itself. By default as discovered.
        type: str
      host:
        description:
          - The Host that it sends. V(preserve) is the Host that came in, V(upstream) that of the upstream URL, anything
            else is taken literally. By default as discovered.
        type: str
  istio_namespace:
    description:
      - The mesh's root namespace, where istiod's ConfigMap is.
    type: str
    default: istio-system
  istio_revision:
    description:
      - Revision of the control plane. By default the ConfigMap C(istio) is read.
    type: str
  cluster_domain:
    description:
      - DNS domain of the cluster.
    type: str
    default: cluster.local
  read_logs:
    description:
      - Whether to read the access logs of the sidecars on the path. With neither these nor O(read_envoy) the verdict is
        a prediction from the configuration.
    type: bool
    default: true
  read_envoy:
    description:
      - Whether to ask the sidecars on both sides of the hop that matters for the configuration that they run on, as
        C(istioctl proxy-config) does. It takes the right to C(pods/exec); without it this witness is silent.
      - Only listeners, routes, clusters and policies that this hop meets are asked for, and no
        keys or certificates.
    type: bool
    default: true
  log_seconds:
    description:
      - How many seconds back access logs are read.
    type: int
    default: 600
"""
