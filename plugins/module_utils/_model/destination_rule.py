# SPDX-License-Identifier: GPL-3.0-or-later
"""Which DestinationRule a client's sidecar uses for a Service, and what it says about TLS.

Sources (istio/istio release-1.31): pilot/pkg/model/push_context.go:1259-1325 (lookup: the client's namespace, the
Service's, the root namespace; the first with any match wins, the most specific host only within it),
pilot/pkg/networking/util/util.go:865-890 (a port's settings replace the rest, a subset's override it), istio/api
networking/v1alpha3/destination_rule.proto:944-946 (mode 0 is DISABLE, so `tls: {}` disables TLS).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


class TlsSetting(NamedTuple):
    """mode: DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL, or "" where the rule leaves TLS to Istio. at: the field that says
    so.

    destination_mode: what the destination level says, port settings aside; Istio's endpoint check reads it even where a
    port block without tls replaces it (pilot/pkg/xds/endpoints/mtls_checker.go:96-112).
    """

    mode: str
    at: str
    destination_mode: str


def lookup(config: Mesh, client: Workload, service: Service) -> Object | None:
    """The rule that a client's sidecar applies to a Service, or None."""
    host = hostnames.fqdn(service, config.domain)
    for namespace in dict.fromkeys((client.namespace, service.namespace, config.root_namespace)):
        rules = [obj for obj in config.of("DestinationRule") if objects.namespace(obj) == namespace]
        visible = [obj for obj in rules if namespace == client.namespace or exported_to(obj, client.namespace)]
        matching = [obj for obj in visible if hostnames.matches(host, rule_host(obj, config.domain))]
        # A private rule (exportTo ".") of the client's own root namespace counts like any other of its namespace.
        if matching:
            return _most_specific(matching, client, config.domain)
    return None


def rule_host(obj: Object, domain: str) -> str:
    return hostnames.resolved(objects.text(objects.spec(obj).get("host")), objects.namespace(obj), domain)


def _most_specific(matching: list[Object], client: Workload, domain: str) -> Object | None:
    longest = max(matching, key=lambda obj: (not rule_host(obj, domain).startswith("*"), len(rule_host(obj, domain))))
    same_host = [obj for obj in matching if rule_host(obj, domain) == rule_host(longest, domain)]
    same_host.sort(key=lambda obj: (objects.created(obj), objects.name(obj)))
    selecting = [obj for obj in same_host if _selector(obj) and objects.selects(_selector(obj), client.labels)]
    general = [obj for obj in same_host if not _selector(obj)]
    if selecting:
        return selecting[0]
    # Rules for one host are merged, and the oldest that has a traffic policy gives it: push_context.go
    # mergeDestinationRule.
    return next((obj for obj in general if objects.spec(obj).get("trafficPolicy")), general[0] if general else None)


def tls(rule: Object | None, port: int, subset: str = "") -> TlsSetting:
    """What a rule says about TLS to a port of its host."""
    if rule is None:
        return TlsSetting("", "", "")
    body = objects.spec(rule)
    policies = [("spec.trafficPolicy", objects.mapping(body.get("trafficPolicy")))]
    for index, entry in enumerate(map(objects.mapping, objects.sequence(body.get("subsets")))):
        if subset and entry.get("name") == subset:
            policies.append((f"spec.subsets[{index}].trafficPolicy", objects.mapping(entry.get("trafficPolicy"))))
    mode, at = "", ""
    for path, policy in policies:
        if "tls" in policy:
            mode, at = _mode(policy["tls"]), f"{path}.tls"
        for index, settings in enumerate(map(objects.mapping, objects.sequence(policy.get("portLevelSettings")))):
            if objects.mapping(settings.get("port")).get("number") == port:
                mode = _mode(settings["tls"]) if "tls" in settings else ""
                at = f"{path}.portLevelSettings[{index}].tls"
    general = policies[0][1]
    return TlsSetting(mode, at, _mode(general["tls"]) if "tls" in general else "")


def defines_subset(rule: Object | None, subset: str) -> bool:
    """Whether a routed subset exists; routed but undefined gives 503 NC (cluster not found)."""
    subsets = objects.sequence(objects.spec(rule).get("subsets")) if rule else []
    return not subset or any(objects.mapping(entry).get("name") == subset for entry in subsets)


def _mode(setting: Any) -> str:
    return objects.text(objects.mapping(setting).get("mode")) or "DISABLE"


def _selector(obj: Object) -> dict[str, str]:
    return objects.mapping(objects.mapping(objects.spec(obj).get("workloadSelector")).get("matchLabels"))
