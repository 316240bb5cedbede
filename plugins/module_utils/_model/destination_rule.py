# SPDX-License-Identifier: GPL-3.0-or-later
"""Which DestinationRule a client's sidecar uses for a Service, and what it says about TLS.

Sources (istio/istio release-1.31): pilot/pkg/model/push_context.go:1259-1325, 2067-2131 (lookup: the client's
namespace, the Service's, the root namespace; the first with any match wins, the most specific host only within it),
pilot/pkg/networking/util/util.go:865-890 (a port's settings replace the rest, a subset's override it), istio/api
networking/v1alpha3/destination_rule.proto:944-946 (mode 0 is DISABLE, so `tls: {}` disables TLS).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Service, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


class TlsSetting(NamedTuple):
    """mode: DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL, or "" where the rules leave TLS to Istio. at: the field that says
    so, in the rule `giver`.

    endpoint_mode: what Istio's check of endpoints reads: the destination level counts there even where a port block
    without tls replaces it (pilot/pkg/xds/endpoints/mtls_checker.go:42-53, 70-112).
    """

    mode: str
    at: str
    endpoint_mode: str
    giver: Object | None = None


# The rules for one host that Istio has merged into one: the first traffic policy counts, and of each name the first
# subset.
Merged = tuple[Object, ...]


def lookup(config: Mesh, client: Workload, service: Service) -> Merged:
    """The rules that a client's sidecar applies to a Service; empty where there is none."""
    host = hostnames.fqdn(service, config.domain)
    own = _local(config, client.namespace)
    if client.namespace == config.root_namespace:
        own = [obj for obj in own if _private(obj)]  # the rest of the root namespace's rules are for everyone
    found = _most_specific(own, host, config.domain)
    if found:
        return _of_client(_merge(found), client)
    for namespace in dict.fromkeys((service.namespace, config.root_namespace)):
        exported = [obj for obj in _in(config, namespace) if not _private(obj)]
        groups = _merge(_most_specific(exported, host, config.domain))
        visible = [group for group in groups if _exports(group[0]) & {"*", client.namespace}]
        if visible:
            return _of_client(visible, client)
    return ()


def rule_host(obj: Object, domain: str) -> str:
    return hostnames.resolved(objects.text(objects.spec(obj).get("host")), objects.namespace(obj), domain)


def _in(config: Mesh, namespace: str) -> list[Object]:
    """Rules with a workload selector come first, then the oldest: sortConfigBySelectorAndCreationTime."""
    found = [obj for obj in config.of("DestinationRule") if objects.namespace(obj) == namespace]
    return sorted(found, key=lambda obj: (_selector(obj) is None, objects.created(obj), objects.name(obj)))


def _exports(obj: Object) -> set[str]:
    # A rule with a workload selector never leaves its namespace.
    if _selector(obj) is not None:
        return {"."}
    return {objects.text(entry) for entry in objects.sequence(objects.spec(obj).get("exportTo"))} or {"*"}


def _private(obj: Object) -> bool:
    return _exports(obj) in ({"."}, {objects.namespace(obj)})


def _local(config: Mesh, namespace: str) -> list[Object]:
    return [obj for obj in _in(config, namespace) if _exports(obj) & {"*", ".", namespace}]


def _most_specific(rules: list[Object], host: str, domain: str) -> list[Object]:
    matching = [(rule_host(obj, domain), obj) for obj in rules if hostnames.matches(host, rule_host(obj, domain))]
    best = max((name for name, _obj in matching), key=lambda name: (not name.startswith("*"), len(name)), default="")
    return [obj for name, obj in matching if name == best]


def _merge(rules: list[Object]) -> list[Merged]:
    """Which rules for one host become one: pilot/pkg/model/destination_rule.go:46-131 (mergeDestinationRule)."""
    groups: list[list[Object]] = []
    for rule in rules:
        export, selector = _exports(rule), _selector(rule)
        apart = True
        for group in list(groups):
            first, other = _exports(group[0]), _selector(group[0])
            if export != first and not export > first:
                apart = True
                continue
            apart = export != first
            if selector is not None and other is not None and selector != other:
                apart = True
                continue
            if (selector is None) == (other is None):
                apart = False
            group.append(rule)
        if apart or not groups:
            groups.append([rule])
    return [tuple(group) for group in groups]


def _of_client(groups: list[Merged], client: Workload) -> Merged:
    """The rules whose selector matches the client, else the last ones without any: sidecar.go:713-738."""
    for group in groups:
        selector, here = _selector(group[0]), client.namespace == objects.namespace(group[0])
        if selector is not None and here and objects.selects(selector, client.labels):
            return group
    return next((group for group in reversed(groups) if _selector(group[0]) is None), ())


def tls(rules: Merged, port: int, subset: str = "") -> TlsSetting:
    """What merged rules say about TLS to a port of their host."""
    general = next((obj for obj in rules if objects.spec(obj).get("trafficPolicy")), None)
    policies = []
    if general is not None:
        policies.append((general, "spec.trafficPolicy", objects.mapping(objects.spec(general).get("trafficPolicy"))))
    found = _subset(rules, subset)
    if found is not None:
        obj, index, body = found
        policies.append((obj, f"spec.subsets[{index}].trafficPolicy", objects.mapping(body.get("trafficPolicy"))))
    mode, at, giver = "", "", general or next(iter(rules), None)
    for obj, path, policy in policies:
        if "tls" in policy:
            mode, at, giver = _mode(policy["tls"]), f"{path}.tls", obj
        for index, settings in enumerate(map(objects.mapping, objects.sequence(policy.get("portLevelSettings")))):
            if objects.mapping(settings.get("port")).get("number") == port:
                mode = _mode(settings["tls"]) if "tls" in settings else ""
                at, giver = f"{path}.portLevelSettings[{index}].tls", obj
    # A subset's word comes before the rule's own.
    for_endpoints = (_for_endpoints(policy, port) for _obj, _path, policy in reversed(policies))
    return TlsSetting(mode, at, next(filter(None, for_endpoints), ""), giver)


def _for_endpoints(policy: dict[str, Any], port: int) -> str:
    for settings in map(objects.mapping, objects.sequence(policy.get("portLevelSettings"))):
        if objects.mapping(settings.get("port")).get("number") == port and "tls" in settings:
            return _mode(settings["tls"])
    return _mode(policy["tls"]) if "tls" in policy else ""


def _subset(rules: Merged, subset: str) -> tuple[Object, int, dict[str, Any]] | None:
    for obj in rules if subset else ():
        for index, entry in enumerate(map(objects.mapping, objects.sequence(objects.spec(obj).get("subsets")))):
            if entry.get("name") == subset:
                return obj, index, entry
    return None


def defines_subset(rules: Merged, subset: str) -> bool:
    """Whether a routed subset exists; routed but undefined gives 503 NC (cluster not found)."""
    return not subset or _subset(rules, subset) is not None


def _mode(setting: Any) -> str:
    return objects.text(objects.mapping(setting).get("mode")) or "DISABLE"


def _selector(obj: Object) -> dict[str, str] | None:
    selector = objects.spec(obj).get("workloadSelector")
    return objects.mapping(objects.mapping(selector).get("matchLabels")) if selector is not None else None
