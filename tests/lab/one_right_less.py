# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m one_right_less``: take one right after the other from the shipped roles, and hear what the modules say.

The argument is the namespace of the path; each identity's token comes in an environment variable (TOKEN_READER and so
on), and the roles stand as docs/access.md says, with the journal in istio-remediation. Prints a line per right and
module; ends with 1 if one of them was not named.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import yaml
from meshlab import waiting
from meshlab.api import Api
from meshlab.settings import HOST_API_PORT, folders

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Right, allows
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.modules import (
    query_path_info,
    query_path_probe,
    query_path_remediation,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module

FILES = Path(__file__).resolve().parents[2] / "playbooks" / "files" / "rbac"
API = "/apis/rbac.authorization.k8s.io/v1"
HOME = "istio-remediation"
# What this world's fixes write; tests/unit/modules/test_rights.py takes the other kinds' rights away.
STRATEGIES = {"services": "service_protocol", "deployments": "host_rewrite", "virtualservices": "route_alias"}
# Asked for only where something was not found at the first look; tests/unit/modules/test_rights.py knows these.
ELSEWHERE = ("namespaces", "grafanadatasources", "grafanas", "prometheuses", "secrets")
KINDS = {"statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}


class Attempt(NamedTuple):
    """A module, run by an identity. options: beside those of the connection and the path."""

    identity: str
    module: ModuleType
    options: dict[str, Any]


class Taken(NamedTuple):
    """A right, and the attempts that must name it once it is taken away."""

    right: Right
    attempts: tuple[Attempt, ...]


def everything(namespace: str) -> Iterator[Taken]:
    """Every right in the files that an attempt in this world depends on."""
    places = {"cluster.yaml": "", "root-namespace.yaml": "istio-system", "journal.yaml": HOME}
    for file in sorted(FILES.glob("*.yaml")):
        place = places.get(file.name, namespace)
        for rule in (rule for role in roles(file) for rule in role["rules"]):
            for resource, verb in ((resource, verb) for resource in rule["resources"] for verb in rule["verbs"]):
                name = rule.get("resourceNames", [""])[0]
                right = Right(verb, resource, rule["apiGroups"][0], place, name, file.name)
                attempts = tuple(attempts_for(right))
                if attempts:
                    yield Taken(right, attempts)


def attempts_for(right: Right) -> Iterator[Attempt]:
    if right.granted_by == "prober.yaml":
        yield Attempt("prober", query_path_probe, {})
    elif right.granted_by == "exec.yaml":
        yield Attempt("prober", query_path_probe, {"raise_log_level": True})
    elif right.granted_by == "remediator.yaml":
        if right.resource in STRATEGIES:
            yield Attempt("remediator", query_path_remediation, {"strategy": STRATEGIES[right.resource]})
    elif right.granted_by == "rehearsal.yaml":
        if right.resource == "destinationrules":  # no fix of this world makes one
            return
        strategy = STRATEGIES.get(right.resource, "host_rewrite")
        yield Attempt("remediator", query_path_remediation, {"strategy": strategy, "rehearse": True})
    elif right.resource not in ELSEWHERE:
        kind = {"grafana_kind": KINDS[right.resource]} if right.resource in KINDS else {}
        yield Attempt("remediator", query_path_remediation, {"strategy": "host_rewrite", **kind})
        # The lab's data source stands in a labelled ConfigMap that is mounted: list or get is enough. A diagnosis
        # neither locks nor writes a journal.
        if right.granted_by != "journal.yaml" and (right.resource != "configmaps" or right.name):
            # Where the logs tell the way of a query, no EnvoyFilter matters to the verdict, only to its fixes.
            deaf = {"read_logs": False} if right.resource == "envoyfilters" else {}
            yield Attempt("reader", query_path_info, kind | deaf)


def roles(file: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["items"]
    return [item for item in items if "rules" in item]


@contextmanager
def without(api: Api, right: Right, client: Client) -> Iterator[None]:
    """Take a right out of all our roles in its place, until the block ends. client: of whoever has it."""
    base = f"{API}/namespaces/{right.namespace}/roles" if right.namespace else f"{API}/clusterroles"
    mine = [role for role in api.get(base)["items"] if role["metadata"]["name"].startswith("istio-remediation-")]
    touched = [role for role in mine if any(allows(rule, right) for rule in role["rules"])]
    for role in touched:
        write(api, base, role, [less for rule in role["rules"] for less in reduced(rule, right)])
    try:
        waiting.until(lambda: not holds(client, right), f"the loss of {said(right)}", 10, pause=0.02)
        yield
    finally:
        for role in touched:
            write(api, base, role, role["rules"])
        waiting.until(lambda: holds(client, right), f"the return of {said(right)}", 10, pause=0.02)


def write(api: Api, base: str, role: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    path = f"{base}/{role['metadata']['name']}"
    api.request("PATCH", path, {"rules": rules}, "application/merge-patch+json")


def reduced(rule: dict[str, Any], right: Right) -> list[dict[str, Any]]:
    """The rule without the right, as up to two rules."""
    if not allows(rule, right):
        return [rule]
    others = [resource for resource in rule["resources"] if resource != right.resource]
    verbs = [verb for verb in rule["verbs"] if verb != right.verb]
    parts = ({**rule, "resources": others}, {**rule, "resources": [right.resource], "verbs": verbs})
    return [part for part in parts if part["resources"] and part["verbs"]]


def holds(client: Client, right: Right) -> bool:
    resource, _slash, subresource = right.resource.partition("/")
    asked = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
    asked |= {"namespace": right.namespace, "name": right.name}
    return bool(client.review("SelfSubjectAccessReview", {"resourceAttributes": asked}).get("allowed"))


def said(right: Right) -> str:
    what = f"{right.resource}.{right.group}" if right.group else right.resource
    return f"{right.verb} {what} in {right.namespace or 'the whole cluster'}"


def names_it(attempt: Attempt, right: Right, result: dict[str, Any]) -> bool:
    """Whether the module named the right; a reader's diagnosis goes on without and says so where it matters."""
    if attempt.module is not query_path_info:
        what = re.escape(f"{right.resource}.{right.group}" if right.group else right.resource)
        place = re.escape(f"in namespace {right.namespace}" if right.namespace else "in the whole cluster")
        pattern = rf"^Rights are missing, so nothing was begun: {place}: {right.verb} {what}[ ,]"
        return bool(result.get("failed")) and re.search(pattern, result["msg"]) is not None
    texts = [result.get("msg", ""), *result.get("unknown", [])]
    texts += [line for finding in result.get("findings", []) for line in finding["evidence"]]
    texts += [remedy["reason"] for remedy in result.get("remedies", []) if not remedy["applicable"]]
    return any(f'cannot {right.verb} resource "{right.resource}"' in text for text in texts)


def main(namespace: str) -> int:
    places = folders()
    api = Api(places)
    connections = {
        identity: {
            "host": f"https://127.0.0.1:{HOST_API_PORT}",
            "ca_cert": str(places.pki / "ca.crt"),
            "api_key": os.environ[f"TOKEN_{identity.upper()}"],
        }
        for identity in ("reader", "prober", "remediator")
    }
    clients = {identity: Client(config.connect(options)) for identity, options in connections.items()}
    failed = tried = 0
    for right, attempts in everything(namespace):
        with without(api, right, clients[attempts[0].identity]):
            for identity, module, options in attempts:
                path = {
                    "grafana_namespace": namespace,
                    "datasource_uid": "tenant-x",
                    **connections[identity],
                    **options,
                }
                if module is query_path_remediation:
                    path["journal_namespace"] = HOME
                started = time.monotonic()
                result = run_module(module, check=True, **path)
                named = names_it(Attempt(identity, module, options), right, result)
                tried, failed = tried + 1, failed + (not named)
                name = module.__name__.rpartition(".")[2]
                took = time.monotonic() - started
                print(f"{'named' if named else 'NOT NAMED'}: {said(right)}: {name} as {identity} ({took:.1f} s)")
                if not named:
                    print(f"   {result.get('msg') or result.get('verdict')}")
    print(f"{tried - failed} of {tried} named.")
    return 1 if failed or not tried else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
