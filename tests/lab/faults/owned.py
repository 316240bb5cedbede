# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m faults.owned REMEDY``: what a fix would change is made by an operator, out of an object of Argo CD's.

The operator's kind is one that only this API server's discovery tells of. Prints what the refused run says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from meshlab import waiting
from meshlab.api import MERGE, Api, ApiError, Manifest
from meshlab.errors import LabError
from meshlab.settings import folders
from stage.place import NAMESPACE

from faults.victim import Victim

SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus"
GROUP, VERSION, KIND, PLURAL = "operators.example.com", "v1", "MonitoringStack", "monitoringstacks"
DEFINITION: Manifest = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": KIND, "plural": PLURAL},
        "versions": [
            {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STACKS = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}"
STACK: Manifest = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": KIND,
    "metadata": {
        "name": "metrics",
        "annotations": {"argocd.argoproj.io/tracking-id": f"observability:{GROUP}/{KIND}:{NAMESPACE}/metrics"},
    },
}


@contextmanager
def owned(api: Api) -> Iterator[None]:
    """Let the Service of Prometheus be owned for the time of the block."""
    api.request("POST", DEFINITIONS, DEFINITION)
    try:
        waiting.until(lambda: served(api), f"a served {KIND}", 30)
        stack = api.request("POST", STACKS, STACK)
        reference = {"apiVersion": STACK["apiVersion"], "kind": KIND, "name": "metrics", "controller": True}
        references = [{**reference, "uid": stack["metadata"]["uid"]}]
        api.request("PATCH", SERVICE, {"metadata": {"ownerReferences": references}}, MERGE)
        yield
    finally:
        # First the reference, or the Service is collected with its owner.
        api.request("PATCH", SERVICE, {"metadata": {"ownerReferences": None}}, MERGE)
        api.request("DELETE", f"{DEFINITIONS}/{DEFINITION['metadata']['name']}")


def served(api: Api) -> bool:
    """Whether objects of the kind can be stored: before that the API server does not know it, or answers 429."""
    try:
        return api.exists(STACKS)
    except ApiError:
        return False


def main(remedy: str) -> str:
    """Return what the run printed. Raises LabError where it is not refused."""
    api = Api(folders())
    with owned(api):
        code, printed = Victim("remediate", {"remedy": remedy}).end()
    if code != 2 or "changed=0 " not in printed:
        raise LabError(f"The run was not refused: {printed}")
    return printed


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))
    except LabError as error:
        sys.exit(f"error: {error}")
