# SPDX-License-Identifier: GPL-3.0-or-later
"""Access reviews as the API server answers them from RBAC, written apart from what the collection makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]
Rule = Mapping[str, Sequence[str]]

GROUP = "authorization.k8s.io"
EVERYTHING: Object = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


class Authorizer:
    """Who may do what, for the one caller that there is.

    grants: rules by namespace, those of the whole cluster under "". listing: whether it can say all that is allowed in
    a namespace; webhook authorizers cannot.
    """

    def __init__(self) -> None:
        self.grants: dict[str, list[Rule]] = {"": [EVERYTHING]}
        self.listing = True

    def status(self, kind: str, spec: Object) -> Object:
        """The `status` of a review."""
        if kind == "SelfSubjectRulesReview":
            if not self.listing:
                return {"incomplete": True, "resourceRules": [], "evaluationError": "webhook authorizer"}
            return {"incomplete": False, "resourceRules": self._rules(spec["namespace"]), "nonResourceRules": []}
        asked = spec["resourceAttributes"]
        return {"allowed": any(_grants(rule, asked) for rule in self._rules(asked.get("namespace", "")))}

    def _rules(self, namespace: str) -> list[Rule]:
        return [*self.grants.get("", []), *(self.grants.get(namespace, []) if namespace else [])]


def _grants(rule: Rule, asked: Object) -> bool:
    """https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources"""
    resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))

    def among(key: str, value: str) -> bool:
        return "*" in rule[key] or value in rule[key]

    named = not rule.get("resourceNames") or asked.get("name") in rule["resourceNames"]
    return (
        among("verbs", asked["verb"])
        and among("apiGroups", asked.get("group", ""))
        and among("resources", resource)
        and named
    )
