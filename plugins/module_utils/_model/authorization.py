# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of AuthorizationPolicies and RequestAuthentications where a port is handled as TCP.

Sources (istio/istio release-1.31): pilot/pkg/security/authz/model/model.go:355-364 (ALLOW: a rule with an HTTP-only
field is dropped; DENY, AUDIT and CUSTOM: only the field is, so the rule becomes wider),
pilot/pkg/security/authz/builder/builder.go:284-288, 493-496 (no rule left: an ALLOW policy that matches nothing; an
HTTP provider is skipped on TCP), generator.go:263-425 (which fields),
pilot/pkg/networking/plugin/authn/authentication.go:97-110 (no JWT filter on TCP). Measured: docs/truth-table.md row 19.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import extension_provider, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.extension_provider import (
    Provider,
    Providers,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object, Snapshot

_OPERATION = ("hosts", "notHosts", "paths", "notPaths", "methods", "notMethods")
_SOURCE = ("requestPrincipals", "notRequestPrincipals")

_DRY_RUN = "istio.io/dry-run"
# Of Go's strconv.ParseBool.
_TRUE = ("1", "t", "T", "true", "True", "TRUE")
DENIES_ALL, DENIES_MORE, AUDITS_MORE, BYPASSED, CONSULTED_MORE, UNCHECKED, UNTOLD = (
    "denies_all",
    "denies_more",
    "audits_more",
    "bypassed",
    "consulted_more",
    "jwt_unchecked",
    "untold",
)


class PolicyEffect(NamedTuple):
    """What a policy does on a TCP port in place of what it says. policy: `Kind/namespace/name`."""

    effect: str
    policy: str
    text: str


class RuleOnTcp(NamedTuple):
    """What becomes of a policy's rule on a TCP chain. name: as Envoy has it.

    action: ALLOW, DENY or LOG (AUDIT). everyone: it matches every connection; never: none.
    """

    name: str
    action: str
    everyone: bool
    never: bool = False


_ENVOY_ACTIONS = {"ALLOW": "ALLOW", "DENY": "DENY", "AUDIT": "LOG"}


def policy_needs(config: Mesh, server: Workload) -> tuple[Need, ...]:
    """The lists that hold every AuthorizationPolicy which can select a server."""
    return tuple(
        Need("list", "AuthorizationPolicy", ns) for ns in dict.fromkeys((server.namespace, config.root_namespace))
    )


def restricts(server: Workload, policies: Iterable[Object]) -> bool:
    """Whether an ALLOW policy selects the server, so that whom none allows is denied."""
    return any(
        (objects.text(objects.spec(obj).get("action")) or "ALLOW") == "ALLOW" for obj in selecting(server, policies)
    )


def needs(config: Mesh, server: Workload) -> tuple[Need, ...]:
    """The lists that hold every policy which can select a server."""
    namespaces = dict.fromkeys((server.namespace, config.root_namespace))
    return tuple(
        Need("list", kind, ns) for kind in ("AuthorizationPolicy", "RequestAuthentication") for ns in namespaces
    )


def selecting(server: Workload, policies: Iterable[Object]) -> list[Object]:
    """Those that hold for a pod of a server."""
    return [obj for obj in policies if any(selects(obj, pod) for pod in server.pods)]


def providers(config: Mesh, snapshot: Snapshot, server: Workload, policies: Iterable[Object]) -> Providers:
    """By name: what Istio makes of the providers that CUSTOM policies for a server name. Raises NotReadError."""
    return extension_provider.of_policies(config, snapshot, server, selecting(server, policies))


def on_tcp(server: Workload, policies: Iterable[Object], known: Providers) -> tuple[PolicyEffect, ...]:
    """What the policies that select a server do once its port is TCP.

    policies: as read for `needs`. known: their providers.
    """
    chosen = selecting(server, policies)
    # The rules of all ALLOW policies stand in one list: who is in none of them is denied.
    allowed = sum(1 for rule in rules_on_tcp(server, chosen) if rule.action == "ALLOW" and not rule.never)
    return tuple(effect for obj in chosen for effect in _effects(obj, allowed, known))


def rules_on_tcp(server: Workload, policies: Iterable[Object]) -> tuple[RuleOnTcp, ...]:
    """The rules that the server's sidecar has on its TCP chains. CUSTOM policies are left out: they name a provider.

    policies: as read for `needs`, of the server's namespace and the root namespace.
    """
    found = []
    for obj in selecting(server, policies):
        body = objects.spec(obj)
        action = _ENVOY_ACTIONS.get(objects.text(body.get("action")) or "ALLOW")
        if action is None:
            continue
        rules = [objects.mapping(rule) for rule in objects.sequence(body.get("rules"))]
        prefix = f"ns[{objects.namespace(obj)}]-policy[{objects.name(obj)}]-rule"
        for index, rule in enumerate(rules):
            if action != "ALLOW" or not http_only_fields(rule):
                found.append(RuleOnTcp(f"{prefix}[{index}]", action, not _without_http(rule)))
        if not rules:
            found.append(RuleOnTcp(f"{prefix}[0]", action, False, True))  # builder.go:rbacPolicyMatchNever
    return tuple(found)


def _effects(obj: Object, allowed: int, known: Providers) -> Iterator[PolicyEffect]:
    """allowed: how many rules of ALLOW policies stay, of all that select the server."""
    if obj.get("kind") == "RequestAuthentication":
        reference = objects.reference("RequestAuthentication", obj)
        yield PolicyEffect(UNCHECKED, reference, f"{reference}: tokens are no longer checked on TCP connections")
        return
    reference = objects.reference("AuthorizationPolicy", obj)
    body = objects.spec(obj)
    action = objects.text(body.get("action")) or "ALLOW"
    rules = [objects.mapping(rule) for rule in objects.sequence(body.get("rules"))]
    fields = sorted({field for rule in rules for field in http_only_fields(rule)})
    named = ", ".join(fields)
    lead = f"{reference}: "
    if action == "CUSTOM":
        name = extension_provider.named(obj)
        provider = known[name]
        if not provider.denies:
            yield from _custom(reference, name, provider, named)
            return
        # builder.go:getBadCustomDenyRules: it denies what its rules match, on HTTP as on TCP.
        lead, action = f"{reference}: it names provider {name!r}, {provider.denies}, so it denies; ", "DENY"
    if not fields:
        return
    if action == "ALLOW":
        left = sum(1 for rule in rules if not http_only_fields(rule))
        if allowed:
            text = (
                f"its rules with {named} are dropped on TCP, so whom only they allow is denied ({left} of "
                f"{len(rules)} rules stay)"
            )
            yield PolicyEffect(DENIES_MORE, reference, f"{reference}: {text}")
        else:
            text = f"every rule uses {named}, all are dropped on TCP, and an ALLOW policy without rules denies everyone"
            yield PolicyEffect(DENIES_ALL, reference, f"{reference}: {text}")
    elif action == "DENY":
        if any(http_only_fields(rule) and not _without_http(rule) for rule in rules):
            text = f"it loses {named} on TCP, and what is left of a rule denies every connection"
            yield PolicyEffect(DENIES_ALL, reference, lead + text)
        else:
            text = f"it loses {named} on TCP and denies every connection that its other fields match"
            yield PolicyEffect(DENIES_MORE, reference, lead + text)
    else:
        yield PolicyEffect(AUDITS_MORE, reference, lead + f"it loses {named} on TCP and audits more than it says")


def _custom(reference: str, name: str, provider: Provider, named: str) -> Iterator[PolicyEffect]:
    if provider.open:
        text = f"what it does on TCP cannot be told: it names provider {name!r}, {provider.open}"
        yield PolicyEffect(UNTOLD, reference, f"{reference}: {text}")
    elif provider.kind == extension_provider.HTTP:
        text = f"provider {name!r} is asked over HTTP and is skipped on TCP: everyone passes without its check"
        yield PolicyEffect(BYPASSED, reference, f"{reference}: {text}")
    elif named:
        text = f"it loses {named} on TCP, and provider {name!r} is asked about more connections than it says"
        yield PolicyEffect(CONSULTED_MORE, reference, f"{reference}: {text}")


def http_only_fields(rule: dict[str, Any]) -> list[str]:
    """The fields of a rule that exist only in HTTP, as `methods`, `request.headers[…]` and so on."""
    found = []
    for entry in map(objects.mapping, objects.sequence(rule.get("to"))):
        found += [field for field in _OPERATION if objects.mapping(entry.get("operation")).get(field)]
    for entry in map(objects.mapping, objects.sequence(rule.get("from"))):
        found += [field for field in _SOURCE if objects.mapping(entry.get("source")).get(field)]
    for entry in map(objects.mapping, objects.sequence(rule.get("when"))):
        key = objects.text(entry.get("key"))
        if key.startswith("request."):
            found.append(key)
    return found


def _without_http(rule: dict[str, Any]) -> bool:
    """Whether any condition is left in a rule once its HTTP-only fields are gone."""
    operations = [
        objects.mapping(objects.mapping(entry).get("operation")) for entry in objects.sequence(rule.get("to"))
    ]
    sources = [objects.mapping(objects.mapping(entry).get("source")) for entry in objects.sequence(rule.get("from"))]
    conditions = [objects.text(objects.mapping(entry).get("key")) for entry in objects.sequence(rule.get("when"))]
    # A rule holds where one entry of each of from, to and when does: an entry without fields matches everything.
    narrow_to = bool(operations) and all(set(entry) - set(_OPERATION) for entry in operations)
    narrow_from = bool(sources) and all(set(entry) - set(_SOURCE) for entry in sources)
    return narrow_to or narrow_from or any(not key.startswith("request.") for key in conditions)


def selects(obj: Object, pod: Pod) -> bool:
    """Whether a policy selects a pod and is enforced; one with `targetRefs` is for waypoints and gateways.

    A dry run is only logged: https://istio.io/latest/docs/tasks/security/authorization/authz-dry-run/, builder.go
    isDryRun.
    """
    body, annotations = objects.spec(obj), objects.mapping(objects.metadata(obj).get("annotations"))
    at_home = not body.get("targetRefs") and not body.get("targetRef")
    return at_home and annotations.get(_DRY_RUN) not in _TRUE and objects.selects(_selector(obj), pod.labels)


def _selector(obj: Object) -> dict[str, str]:
    return objects.mapping(objects.mapping(objects.spec(obj).get("selector")).get("matchLabels"))
