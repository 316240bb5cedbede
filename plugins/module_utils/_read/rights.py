# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights it takes to follow, judge and prove a path, as far as that is known before anything is read.

Other namespaces show up on the way; what cannot be read there is unknown in the verdict, and the right that is
missing is named.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import access
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Right
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question

CLUSTER, ROOT, READER, PROBER = "cluster.yaml", "root-namespace.yaml", "reader.yaml", "prober.yaml"
EXEC = "exec.yaml"

# Lists in each namespace of the path and in the mesh's root namespace, and lists of the whole cluster: mesh.read(),
# envoy_filter.needs().
PATH_KINDS = ("PeerAuthentication", "DestinationRule", "Sidecar", "EnvoyFilter")
CLUSTER_KINDS = ("VirtualService", "ServiceEntry")
# What judging a fix reads besides: authorization.needs().
POLICY_KINDS = ("AuthorizationPolicy", "RequestAuthentication")


def to_walk(question: Question) -> list[Right]:
    """What it takes to follow the path."""
    home, root = question.grafana_namespace, question.istio_namespace
    rights = [
        access.of_kind("get", question.grafana_kind, home, READER),
        access.of_kind("list", "Pod", home, READER),
        access.of_kind("list", "Service", home, READER),
    ]
    if not question.datasource_url:
        rights += [access.of_kind(verb, "ConfigMap", home, READER) for verb in ("get", "list")]
    rights.append(access.of_kind("get", "ConfigMap", root, ROOT, mesh.settings_need(question).name))
    rights += _lists(PATH_KINDS, question)
    rights += [access.of_kind("list", kind, "", CLUSTER) for kind in CLUSTER_KINDS]
    return rights


def to_diagnose(question: Question) -> list[Right]:
    """What it takes to judge the path and the fixes."""
    logs = [read_logs(question.grafana_namespace)] if question.read_logs else []
    return [*to_walk(question), *_lists(POLICY_KINDS, question), *logs]


def to_probe(question: Question, by_port_forward: bool, by_exec: bool = False) -> list[Right]:
    """What it takes to prove the path.

    by_port_forward: Grafana is asked through the API server. by_exec: the sidecars' log level is raised.
    A stream over a WebSocket begins with a GET. Kubernetes 1.35 and later ask for `create` too:
    https://github.com/kubernetes/kubernetes/pull/134577 (AuthorizePodWebsocketUpgradeCreatePermission).
    """
    home = question.grafana_namespace
    verbs = ("get", "create") if by_port_forward else ()
    return [
        *to_walk(question),
        *_lists(("AuthorizationPolicy",), question),
        read_logs(home),
        *(Right(verb, "pods/portforward", "", home, "", PROBER) for verb in verbs),
        *(execute(home) if by_exec else ()),
    ]


def execute(namespace: str) -> list[Right]:
    """The rights to run a command in a pod."""
    return [Right(verb, "pods/exec", "", namespace, "", EXEC) for verb in ("get", "create")]


def read_logs(namespace: str) -> Right:
    """The right to read containers' logs."""
    return Right("get", "pods/log", "", namespace, "", READER)


def _lists(kinds: Iterable[str], question: Question) -> list[Right]:
    places = {question.istio_namespace: ROOT, question.grafana_namespace: READER}
    return [access.of_kind("list", kind, place, file) for kind in kinds for place, file in places.items()]
