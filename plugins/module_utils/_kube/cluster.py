# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster this is: the uid of the namespace kube-system, which lives as long as the cluster does.

OpenTelemetry names clusters by it too: https://opentelemetry.io/docs/specs/semconv/resource/k8s/ (k8s.cluster.uid).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access, Right
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ForbiddenError,
    KubeError,
    NotFoundError,
)

NAMESPACE = "kube-system"
TO_IDENTIFY = Right("get", "namespaces", "", "", NAMESPACE, "cluster.yaml")


class WrongClusterError(KubeError):
    """The API server is another cluster's than the one that was expected."""


def uid(client: Client) -> str:
    """The cluster's uid; "" where it may not be read."""
    try:
        return str(client.get("Namespace", "", NAMESPACE)["metadata"].get("uid", ""))
    except (ForbiddenError, NotFoundError):
        return ""


def identify(client: Client, access: Access, expected: str = "") -> str:
    """The cluster's uid; where one is expected, that one and no other.

    Raises WrongClusterError, and MissingRightsError where one is expected and it may not be read.
    """
    if expected:
        access.require([TO_IDENTIFY])
    found = uid(client)
    if expected and found != expected:
        raise WrongClusterError(
            f"The API server at {client.host} is that of cluster {found or 'without a uid'}, not of {expected} as "
            "expect_cluster_uid says, so nothing was begun; check kubeconfig and context."
        )
    return found
