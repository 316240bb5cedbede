# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user asks about: one Grafana workload, one data source, and whatever they know better than discovery."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class InputError(Exception):
    """The question cannot be answered as asked. The message is one sentence or two: what, where, what to do."""


class KnownProxy(NamedTuple):
    """What a user says about a proxy that discovery cannot read.

    workload  `namespace/name` of the Deployment, StatefulSet or DaemonSet
    upstream  URL to which it sends queries, e.g. `http://prometheus.monitoring.svc:9090`; "" = as discovered
    host      the Host that it sends: "preserve", "upstream" (the host of the upstream URL), or a literal; "" = as
              discovered
    """

    workload: str
    upstream: str = ""
    host: str = ""


class Question(NamedTuple):
    """One query path.

    grafana_namespace, grafana_name, grafana_kind   the workload from which queries start
    datasource_url   URL of the data source; "" = look `datasource_uid` up
    datasource_uid   uid of the data source, looked up as _model.datasources says; with both empty the only Prometheus
                     data source is taken
    ask_grafana      Grafana's HTTP API may be asked (a URL or token was given)
    read_secrets     Secrets that provision data sources may be read
    proxies          overrides for discovery
    istio_namespace  the mesh's root namespace, where istiod's ConfigMap lives
    istio_revision   revision label of the control plane; "" or "default" = the ConfigMap `istio`
    read_logs        False: leave the access logs out
    read_envoy       False: leave Envoy's own configuration out; with neither, the verdict is predicted
    log_seconds      how far back access logs are read
    thorough         read EnvoyFilters and all owners of owners in any case: to apply a fix, to save what is read, or
                     where it was saved; a diagnosis alone makes at most 25 requests
    """

    grafana_namespace: str
    grafana_name: str
    grafana_kind: str = "Deployment"
    datasource_url: str = ""
    datasource_uid: str = ""
    ask_grafana: bool = False
    read_secrets: bool = False
    proxies: tuple[KnownProxy, ...] = ()
    istio_namespace: str = "istio-system"
    istio_revision: str = ""
    cluster_domain: str = "cluster.local"
    read_logs: bool = True
    read_envoy: bool = True
    log_seconds: int = 600
    thorough: bool = False

    @property
    def path_id(self) -> str:
        """What journals and locks are found by: the workload from which queries start, as a label value."""
        origin = f"{self.grafana_kind}/{self.grafana_namespace}/{self.grafana_name}"
        return hashlib.sha256(origin.encode()).hexdigest()[:16]
