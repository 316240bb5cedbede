# SPDX-License-Identifier: GPL-3.0-or-later
"""The RBAC that the collection ships, and an API server that enforces it on every request."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import (
    _PATH,
    Answer,
    ApiServer,
    Request,
    status,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.authorizer import GROUP

Object = dict[str, Any]
FILES = Path(__file__).resolve().parents[3] / "playbooks" / "files" / "rbac"
_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


@cache
def manifests(file: str) -> list[Object]:
    """The objects in a file; not to be changed."""
    found: list[Object] = yaml.safe_load((FILES / file).read_text(encoding="utf-8"))["items"]
    return found


def rules(file: str) -> list[Object]:
    """The rules of all roles in a file."""
    return [rule for item in manifests(file) for rule in item.get("rules", [])]


def subjects(file: str) -> set[str]:
    """Names of the ServiceAccounts that a file's bindings grant to."""
    return {subject["name"] for item in manifests(file) for subject in item.get("subjects", [])}


def grants(identity: str, namespace: str, journal: str = "") -> dict[str, list[Object]]:
    """What an identity may do once the files are applied as docs/access.md says: rules by namespace."""
    places = {
        "cluster.yaml": "",
        "root-namespace.yaml": "istio-system",
        "reader.yaml": namespace,
        "prober.yaml": namespace,
        "remediator.yaml": namespace,
        "journal.yaml": journal or namespace,
    }
    found: dict[str, list[Object]] = {}
    for file, place in places.items():
        if identity in subjects(file):
            found.setdefault(place, []).extend(rules(file))
    return found


def enforce(server: ApiServer) -> list[str]:
    """From now on answer 403 to what is not granted; returns the list to which every refusal is added."""
    refused: list[str] = []

    def fault(request: Request) -> Answer | None:
        found = _PATH.match(request.path)
        if found is None or found["group"] == GROUP:
            return None
        verb = _VERBS.get(request.method) or ("get" if found["name"] else "list")
        asked = {"verb": verb, "group": found["group"] or "", "resource": found["plural"], "name": found["name"] or ""}
        asked |= {"subresource": found["sub"] or "", "namespace": found["namespace"] or _own_name(found.groupdict())}
        if server.authorizer.status("SelfSubjectAccessReview", {"resourceAttributes": asked})["allowed"]:
            return None
        what = "/".join(filter(None, (found["plural"], found["sub"])))
        refused.append(f"{verb} {what} in {asked['namespace'] or 'the whole cluster'}")
        message = f'{found["plural"]} is forbidden: User "tester" cannot {verb} resource "{what}"'
        return Answer(403, status(403, "Forbidden", message, kind=found["plural"]))

    server.faults.append(fault)
    return refused


def _own_name(found: dict[str, str | None]) -> str:
    """A namespace lies in itself, as the API server sees it."""
    return (found["name"] or "") if found["plural"] == "namespaces" else ""
