# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects that have nothing to do with the query path: a diagnosis must not ask more because of them."""

from __future__ import annotations

from collections.abc import Iterator

from meshlab import manifests
from meshlab.api import Api, Manifest

from stage.place import NAMESPACE

LABELS = {"meshlab/crowd": "true"}


def objects(count: int) -> Iterator[Manifest]:
    """Yield ``count`` Services and as many VirtualServices beside the path, in its own namespace."""
    for number in range(count):
        metadata = {"name": f"crowd-{number}", "namespace": NAMESPACE, "labels": LABELS}
        host = f"crowd-{number}.{NAMESPACE}.svc.cluster.local"
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": LABELS, "ports": [{"name": "http", "port": 7000 + number}]},
        }
        yield {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": metadata,
            "spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]},
        }


def gather(api: Api, count: int) -> None:
    """Create the crowd. Raises ApiError."""
    manifests.apply(api, objects(count))
