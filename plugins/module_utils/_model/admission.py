# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server's AuthorizationPolicies let the queries of its caller in.

Source: https://istio.io/latest/docs/reference/config/security/authorization-policy/ (CUSTOM, then DENY, then ALLOW; a
rule holds where an entry of `from`, one of `to` and every condition of `when` do; within an entry all fields);
istio/istio release-1.31 pilot/pkg/security/authz/builder/builder.go:getBadCustomDenyRules (a CUSTOM policy whose
provider Istio cannot use denies what its rules match), model/model.go:355-364 (what is left of a rule on TCP). Compared
with Envoy by `make policies`. Conditions that configuration cannot answer (addresses, tokens, headers) are left open,
never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    authorization,
    extension_provider,
    hostnames,
    inbound,
    objects,
    protocol,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.authorization import PolicyEffect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.extension_provider import Providers
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import MTLS, Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

DENIES_CALLER, DENIES_SOME, MAY_DENY, UNTOLD = "denies_caller", "denies_some_queries", "may_deny", "undecided"
# Grafana asks by POST, or by GET where the data source says so.
METHODS = ("POST", "GET")
# In policies this is another name for the mesh's own trust domain.
DEFAULT_TRUST_DOMAIN = "cluster.local"


class Request(NamedTuple):
    """A query as the server's sidecar sees it. Without mTLS a caller has no identity: principals and namespace are "".

    principals: the caller's names, one for each trust domain that means the mesh's. port: of the container. tcp: the
    sidecar sees a connection, so that host, method and path play no part.
    """

    principals: tuple[str, ...]
    namespace: str
    service_account: str
    host: str
    port: int
    method: str
    path: str
    tcp: bool


class Ruling(NamedTuple):
    """admitted: None where configuration does not tell. policy, text: who says so, and how.

    left: where it does not tell: UNTOLD, what a request or a provider says decides; MAY_DENY, what Istio makes of it.
    """

    admitted: bool | None
    policy: str
    text: str
    left: str = UNTOLD


def of_hop(config: Mesh, hop: Hop, policies: Iterable[Object], providers: Providers) -> PolicyEffect | None:
    """What a server's policies do to the queries of a hop; None: they let all of them in, as far as can be told.

    policies: as read for authorization.policy_needs. providers: theirs, by name.
    """
    step, pod = hop.step, hop.step.server.pods[0]
    selecting = [obj for obj in policies if authorization.selects(obj, pod)]
    domains = {objects.text((config.settings or {}).get("trustDomain")) or DEFAULT_TRUST_DOMAIN, DEFAULT_TRUST_DOMAIN}
    known = hop.transport.mode == MTLS
    account = step.client.pods[0].service_account or "default"
    caller = f"ns/{step.client.namespace}/sa/{account}"
    request = Request(
        principals=tuple(f"{domain}/{caller}" for domain in sorted(domains)) if known else (),
        namespace=step.client.namespace if known else "",
        service_account=account,
        host=hop.route.host_after,
        port=objects.target_port(step.port, pod),
        method="",
        path=hostnames.query_path(step.url),
        tcp=False,
    )
    _service, port = inbound.deciding(step)
    handled = inbound.kind(port)
    found = [
        effect([request._replace(method=method, tcp=tcp) for method in METHODS], selecting, providers)
        for tcp in (False, True)
        if handled == protocol.AUTO or tcp == (handled == protocol.TCP)
    ]
    # Which chain a connection to a sniffed port takes depends on the client: only what holds for both is said.
    alike = len({one.effect if one else "" for one in found}) == 1
    return found[0] if alike else None


def effect(requests: Sequence[Request], policies: Sequence[Object], providers: Providers) -> PolicyEffect | None:
    """What policies that select the server do to queries, one request for each method; None: they let all of them in.

    providers: those that CUSTOM policies name, by name.
    """
    rulings = [(request, _rule(request, policies, providers)) for request in requests]
    denied = [(request, ruling) for request, ruling in rulings if ruling.admitted is False]
    if denied and len(denied) == len(rulings):
        return PolicyEffect(DENIES_CALLER, denied[0][1].policy, denied[0][1].text)
    if denied:
        request, ruling = denied[0]
        return PolicyEffect(DENIES_SOME, ruling.policy, f"{ruling.text}, for {request.method} {request.path}")
    undecided = next((ruling for _request, ruling in rulings if ruling.admitted is None), None)
    return PolicyEffect(undecided.left, undecided.policy, undecided.text) if undecided else None


def _rule(request: Request, policies: Sequence[Object], providers: Providers) -> Ruling:
    by_action: dict[str, list[Object]] = {}
    for obj in policies:
        body = objects.spec(obj)
        if obj.get("kind") == "AuthorizationPolicy" and not body.get("targetRefs") and not body.get("targetRef"):
            by_action.setdefault(objects.text(body.get("action")) or "ALLOW", []).append(obj)
    caller = request.service_account if request.principals else "a caller without identity"
    open_, custom = Ruling(True, "", ""), None
    denying = [(obj, "denies") for obj in by_action.get("DENY", [])]
    for obj in by_action.get("CUSTOM", []):
        name = extension_provider.named(obj)
        provider = providers[name]
        if provider.denies:
            denying.append((obj, f"names provider {name!r}, {provider.denies}, so it denies"))
        elif _matches(request, obj) is False:
            continue
        elif provider.open:
            text = f"{_named(obj)} may deny {caller}: it names provider {name!r}, {provider.open}"
            custom = Ruling(None, _named(obj), text, MAY_DENY)
        elif not request.tcp or provider.kind == extension_provider.GRPC:
            custom = Ruling(None, _named(obj), f"{_named(obj)} leaves {caller} to provider {name!r}")
    for obj, does in denying:
        matched = _matches(request, obj)
        if matched:
            return Ruling(False, _named(obj), f"{_named(obj)} {does} {caller}")
        if matched is None:
            open_ = Ruling(None, _named(obj), f"{_named(obj)} may deny {caller}, by what only requests show")
    open_ = custom or open_
    allowing = by_action.get("ALLOW", [])
    found = [_matches(request, obj) for obj in allowing]
    if not allowing or True in found:
        return open_
    if None in found:
        obj = allowing[found.index(None)]
        return Ruling(None, _named(obj), f"{_named(obj)} may allow {caller}, by what only requests show")
    names = ", ".join(map(_named, allowing))
    return Ruling(False, names, f"{names} allows others, and not {caller}")


def _named(obj: Object) -> str:
    return objects.reference("AuthorizationPolicy", obj)


def _matches(request: Request, obj: Object) -> bool | None:
    body = objects.spec(obj)
    rules = [objects.mapping(rule) for rule in objects.sequence(body.get("rules"))]
    if request.tcp and (objects.text(body.get("action")) or "ALLOW") == "ALLOW":
        rules = [rule for rule in rules if not authorization.http_only_fields(rule)]
    return _any(_holds(request, rule) for rule in rules)


def _holds(request: Request, rule: dict[str, Any]) -> bool | None:
    sources = [objects.mapping(objects.mapping(entry).get("source")) for entry in objects.sequence(rule.get("from"))]
    operations = [
        objects.mapping(objects.mapping(entry).get("operation")) for entry in objects.sequence(rule.get("to"))
    ]
    conditions = [objects.mapping(entry) for entry in objects.sequence(rule.get("when"))]
    return _all(
        [
            _any(_entry(request, _SOURCE, entry) for entry in sources) if sources else True,
            _any(_entry(request, _OPERATION, entry) for entry in operations) if operations else True,
            *(_condition(request, entry) for entry in conditions),
        ]
    )


Values = Callable[[Request], "tuple[str, ...] | None"]


def _account(request: Request) -> tuple[str, ...]:
    if not request.principals:
        return ()
    return (request.service_account, f"{request.namespace}/{request.service_account}")


# What a field is compared with; None: it cannot be known from configuration.
_SOURCE: dict[str, Values] = {
    "principals": lambda request: request.principals,
    "namespaces": lambda request: (request.namespace,) if request.namespace else (),
    "serviceAccounts": _account,
}
_OPERATION: dict[str, Values] = {
    "hosts": lambda request: (request.host,),
    "ports": lambda request: (str(request.port),),
    "methods": lambda request: (request.method,),
    "paths": lambda request: (request.path,),
}
_KEYS: dict[str, Values] = {
    "source.principal": _SOURCE["principals"],
    "source.namespace": _SOURCE["namespaces"],
    "destination.port": _OPERATION["ports"],
}
_HTTP_ONLY = frozenset({"hosts", "methods", "paths", "requestPrincipals"})


def _entry(request: Request, known: dict[str, Values], entry: dict[str, Any]) -> bool | None:
    """An entry of `from` or `to`: all its fields hold, those that begin with `not` the other way round."""
    results = []
    for field, wanted in entry.items():
        negated = field.startswith("not")
        name = field[3:4].lower() + field[4:] if negated else field
        if request.tcp and name in _HTTP_ONLY:
            continue
        found = _listed(known[name](request) if name in known else None, wanted, name == "hosts")
        results.append(_not(found) if negated else found)
    return _all(results)


def _condition(request: Request, entry: dict[str, Any]) -> bool | None:
    key = objects.text(entry.get("key"))
    if request.tcp and key.startswith("request."):
        return True
    found = _KEYS[key](request) if key in _KEYS else None
    results = []
    if entry.get("values"):
        results.append(_listed(found, entry["values"], False))
    if entry.get("notValues"):
        results.append(_not(_listed(found, entry["notValues"], False)))
    return _all(results)


def _listed(found: tuple[str, ...] | None, wanted: Any, any_case: bool) -> bool | None:
    if found is None:
        return None
    patterns = [objects.text(entry) for entry in objects.sequence(wanted)]
    if any(mark in pattern for pattern in patterns for mark in ("{*}", "{**}")):
        return None  # path templates
    if any_case:
        found, patterns = tuple(value.lower() for value in found), [pattern.lower() for pattern in patterns]
    return any(_like(value, pattern) for value in found for pattern in patterns)


def _like(value: str, pattern: str) -> bool:
    if pattern == "*":
        return bool(value)
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: Iterable[bool | None]) -> bool | None:
    listed = list(values)
    return False if False in listed else None if None in listed else True


def _any(values: Iterable[bool | None]) -> bool | None:
    listed = list(values)
    return True if True in listed else None if None in listed else False
