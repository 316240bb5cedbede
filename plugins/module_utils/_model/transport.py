# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client's sidecar speaks Istio's mTLS to the pods behind a cluster.

Sources (istio/istio release-1.31): pilot/pkg/networking/core/cluster_traffic_policy.go:63-66 and cluster_tls.go:94-109,
419-473 (a DestinationRule's tls is used verbatim; without one auto mTLS decides),
pilot/pkg/model/push_context.go:2569-2609 (DISABLE is inferred from namespace and mesh policies alone),
pilot/pkg/xds/endpoints/mtls_checker.go:53-112 (per endpoint).
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    destination_rule,
    objects,
    peer_authentication,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import TLS_MODE_LABEL, Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    AMBIENT,
    MIXED,
    MTLS,
    NO_SIDECAR,
    PASSTHROUGH,
    PLAINTEXT,
    SERVICE,
    TLS,
    UNKNOWN,
    Route,
    Step,
    Transport,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import DISABLE


def predict(config: Mesh, step: Step, route: Route) -> Transport:
    """How the request that took this route reaches the server's pods."""
    if route.kind == NO_SIDECAR:
        return Transport(PLAINTEXT, route.why, "no_sidecar")
    if route.kind == PASSTHROUGH:
        return Transport(PLAINTEXT, "PassthroughCluster has no TLS settings", "passthrough")
    if route.kind == AMBIENT:
        return Transport(MTLS, "ztunnel speaks mTLS (HBONE) to meshed pods")
    if route.kind != SERVICE:
        return Transport(UNKNOWN, "the request does not reach this server")
    rules = destination_rule.lookup(config, step.client, step.service)
    setting = destination_rule.tls(rules, step.port.number, route.subset)
    rule = setting.giver
    source = objects.reference("DestinationRule", rule) if rule else ""
    if setting.mode == "ISTIO_MUTUAL":
        return Transport(MTLS, f"{source} {setting.at}: ISTIO_MUTUAL", "", rule, setting)
    if setting.mode == "DISABLE":
        return Transport(PLAINTEXT, f"{source} {setting.at} disables TLS", "destination_rule", rule, setting)
    if setting.mode:
        why = f"{source} {setting.at}: {setting.mode} is TLS without Istio's workload certificate"
        return Transport(TLS, why, "destination_rule", rule, setting)
    if not config.auto_mtls:
        why = "meshConfig.enableAutoMtls is false and no DestinationRule asks for ISTIO_MUTUAL"
        return Transport(PLAINTEXT, why, "auto_mtls", rule, setting)
    namespace = peer_authentication.of_namespace(config, step.service.namespace)
    if namespace.mode == DISABLE:
        return Transport(
            PLAINTEXT,
            f"{namespace.source} is DISABLE, so clients expect plaintext",
            "peer_authentication",
            rule,
            setting,
        )
    # A headless Service's cluster has no endpoints of its own that could be checked: cluster_tls.go:94-109.
    if setting.endpoint_mode and not step.service.headless:
        mode = MTLS if setting.endpoint_mode == "ISTIO_MUTUAL" else PLAINTEXT
        why = f"{source} says {setting.endpoint_mode} for the endpoints, though a port setting without tls replaces it"
        return Transport(mode, why, "" if mode == MTLS else "destination_rule", rule, setting)
    return _by_endpoint(config, step)._replace(rule=rule, setting=setting)


def _by_endpoint(config: Mesh, step: Step) -> Transport:
    plain = [found for pod in step.server.pods if (found := _why_plaintext(config, step, pod))]
    if not plain:
        return Transport(MTLS, "auto mTLS: the server's pods have sidecars")
    why, cause = plain[0]
    # A headless Service's cluster has one setting for all endpoints: one without a sidecar makes it plaintext for all.
    if len(plain) == len(step.server.pods) or step.service.headless:
        return Transport(PLAINTEXT, why, cause)
    return Transport(MIXED, f"{len(plain)} of {len(step.server.pods)} pods: {why}", cause)


def _why_plaintext(config: Mesh, step: Step, pod: Pod) -> tuple[str, str] | None:
    if pod.mesh == "ambient":
        return None
    if pod.labels.get(TLS_MODE_LABEL) != "istio":
        return f"pod {pod.name} has no label {TLS_MODE_LABEL}: istio", "server_without_sidecar"
    if step.service.headless:
        return None  # clients do not look at policies of single pods there: push_context.go:2584-2599
    mode = peer_authentication.of_pod(config, pod, objects.target_port(step.port, pod))
    return (f"{mode.source} is DISABLE on this port", "peer_authentication") if mode.mode == DISABLE else None
