# SPDX-License-Identifier: GPL-3.0-or-later
"""What the caller may do, asked of the API server before anything is begun.

One SelfSubjectRulesReview lists all that the caller may do in a namespace. Some authorizers cannot list
(`status.incomplete`), and the list does not tell rights in the whole cluster from those in the namespace: what it does
not answer is asked one by one with a SelfSubjectAccessReview. Every authenticated caller may ask (ClusterRole
system:basic-user). https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.kinds import RESOURCES

FILES = "playbooks/files/rbac"


class Right(NamedTuple):
    """One verb on one kind of object.

    resource    as RBAC writes it: the plural, with its subresource, such as `pods/log`
    group       "" is the core group
    namespace   "" is the whole cluster
    name        "" is every object, or one whose name the API server cannot know yet
    granted_by  the file of this collection that grants it
    """

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""
    granted_by: str = ""


def of_kind(verb: str, kind: str, namespace: str, granted_by: str, name: str = "") -> Right:
    """The right to use a verb on a kind of our table."""
    resource = RESOURCES[kind]
    return Right(verb, resource.plural, resource.group, namespace, name, granted_by)


class MissingRightsError(KubeError):
    """The caller lacks rights. The message names all of them, where, and how to grant them."""

    def __init__(self, rights: Sequence[Right]) -> None:
        self.rights = tuple(rights)
        places = dict.fromkeys(right.namespace for right in rights)
        listed = "; ".join(_place(place, [right for right in rights if right.namespace == place]) for place in places)
        super().__init__(
            f"Rights are missing, so nothing was begun: {listed}. The files are in {FILES} of this collection; "
            "docs/access.md says what each of them grants."
        )


class Access:
    """Answers from one API server; what was asked once is remembered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rules: dict[str, list[Mapping[str, Any]]] = {}
        self._allowed: dict[Right, bool] = {}

    def require(self, rights: Iterable[Right]) -> None:
        """Raises MissingRightsError with every right that the caller lacks, or the KubeError of a refused review."""
        lacking = [right for right in dict.fromkeys(rights) if not self._has(right)]
        if lacking:
            raise MissingRightsError(lacking)

    def _has(self, right: Right) -> bool:
        if right not in self._allowed:
            self._allowed[right] = self._listed(right) or self._confirmed(right)
        return self._allowed[right]

    def _listed(self, right: Right) -> bool:
        if not right.namespace:
            return False
        if right.namespace not in self._rules:
            status = self._client.review("SelfSubjectRulesReview", {"namespace": right.namespace})
            self._rules[right.namespace] = status.get("resourceRules") or []
        return any(allows(rule, right) for rule in self._rules[right.namespace])

    def _confirmed(self, right: Right) -> bool:
        resource, _slash, subresource = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
            "namespace": right.namespace,
            "name": right.name,
        }
        given = {key: value for key, value in attributes.items() if value}
        return bool(self._client.review("SelfSubjectAccessReview", {"resourceAttributes": given}).get("allowed"))


def allows(rule: Mapping[str, Any], right: Right) -> bool:
    """Whether a rule of RBAC's form (verbs, apiGroups, resources, resourceNames) grants a right."""
    _resource, slash, subresource = right.resource.partition("/")
    resources = {"*", right.resource} | ({f"*/{subresource}"} if slash else set())
    names = rule.get("resourceNames") or []
    return (
        not {"*", right.verb}.isdisjoint(rule.get("verbs") or [])
        and not {"*", right.group}.isdisjoint(rule.get("apiGroups") or [])
        and not resources.isdisjoint(rule.get("resources") or [])
        and (not names or right.name in names)
    )


def _place(namespace: str, rights: Sequence[Right]) -> str:
    """`in namespace a: get services, create configmaps (kubectl apply -n a -f x.yaml)`."""
    where, option = (f"in namespace {namespace}", f" -n {namespace}") if namespace else ("in the whole cluster", "")
    files = dict.fromkeys(right.granted_by for right in rights)
    grants = [
        f"{_listing([right for right in rights if right.granted_by == file])} (kubectl apply{option} -f {file})"
        for file in files
    ]
    return f"{where}: {' and '.join(grants)}"


def _listing(rights: Sequence[Right]) -> str:
    """`get, list configmaps, patch services "prometheus"`: verbs of the same objects together."""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        what = f"{right.resource}.{right.group}" if right.group else right.resource
        verbs.setdefault(f'{what} "{right.name}"' if right.name else what, []).append(right.verb)
    return ", ".join(f"{', '.join(found)} {what}" for what, found in verbs.items())
