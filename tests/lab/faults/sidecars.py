# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidecars of a namespace run on, whole, so that two moments can be compared."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab import waiting
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import Folders
from stage.world import NAMESPACE

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config, streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client

COPY = "istio-remediation-shadow"
CONTAINER = "istio-proxy"
DUMP = ("pilot-agent", "request", "GET", "config_dump?include_eds")
PATIENCE = 60.0
PAUSE = 2.0
# Which push an entry came with, and when; and a listener that was replaced or removed, until its connections are gone:
# no new one meets it.
_PASSING = ("last_updated", "version_info", "draining_state")
# What a sidecar runs on, by kind and name.
Entries = Mapping[str, Any]


def configuration(api: Api, places: Folders) -> dict[str, Entries]:
    """The listeners, routes, clusters and endpoints of each pod with a sidecar, by name; without the copy's pods."""
    client = Client(config.connect({"kubeconfig": str(places.kubeconfig)}))
    pods = [pod for pod in api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"] if CONTAINER in _containers(pod)]
    names = [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return {name: dict(_entries(client, name)) for name in names if not name.startswith(COPY)}


def settled(api: Api, places: Folders) -> dict[str, Entries]:
    """`configuration`, once two looks at it, PAUSE seconds apart, are the same: a world's last push has come.

    Raises LabError.
    """
    looks = [configuration(api, places)]

    def same() -> bool:
        time.sleep(PAUSE)
        looks.append(configuration(api, places))
        return not differences(*looks[-2:])

    waiting.until(same, "sidecars that run on the same as before", PATIENCE)
    return looks[-1]


def differences(before: Mapping[str, Entries], after: Mapping[str, Entries]) -> list[str]:
    """What changed, as sentences, but for what bears the copy's name: whole entries, or parts of lists in them."""
    found = [f"pod {pod} is {'gone' if pod in before else 'new'}" for pod in before.keys() ^ after.keys()]
    for pod in before.keys() & after.keys():
        for name in sorted({*before[pod], *after[pod]}):
            was, now = (_without_copy(side[pod].get(name)) for side in (before, after))
            new_with_copy = name not in before[pod] and COPY in json.dumps([name, after[pod][name]])
            if was != now and not new_with_copy:
                found.append(f"{name} of {pod} is another one")
    return found


def _without_copy(value: Any) -> Any:
    """The value without the innermost parts of lists that bear the copy's name."""
    if isinstance(value, dict):
        return {key: _without_copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [part for part in map(_without_copy, value) if COPY not in json.dumps(part)]
    return value


def _containers(pod: Mapping[str, Any]) -> set[str]:
    spec = pod["spec"]
    return {entry["name"] for entry in (*spec["containers"], *spec.get("initContainers", ()))}


def _entries(client: Client, pod: str) -> Iterator[tuple[str, Any]]:
    output = streams.execute(client, NAMESPACE, pod, CONTAINER, DUMP, PATIENCE)
    if output.code != 0:
        raise LabError(f"{pod} does not say what its sidecar runs on: {output.stderr}")
    for part in json.loads(output.stdout)["configs"]:
        for kind, entries in part.items():
            for entry in entries if kind.startswith(("dynamic_", "static_")) else ():
                # Where connections go that keep their own destination, Envoy notes as they come.
                if "endpoint_configs" in kind and not _name(entry).startswith("outbound|"):
                    continue
                kept = _settled(entry)
                if kept.keys() != {"name"}:
                    yield f"{kind} {_name(kept)}", kept


def _name(entry: Mapping[str, Any]) -> str:
    """The name under which an entry is listed, or that of the one thing in it."""
    inner = next((part for part in entry.values() if isinstance(part, dict) and "@type" in part), entry)
    names = (source.get(key) for source in (entry, inner) for key in ("name", "cluster_name"))
    whole = json.dumps(entry, sort_keys=True)
    return next(filter(None, names), hashlib.sha256(whole.encode()).hexdigest())


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _settled(part) for key, part in value.items() if key not in _PASSING}
    return [_settled(part) for part in value] if isinstance(value, list) else value
