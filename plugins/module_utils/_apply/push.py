# SPDX-License-Identifier: GPL-3.0-or-later
"""Sees when a write has reached the sidecars: each of them tells the version of the configuration that it runs on.

istiod names its pushes `<RFC 3339 time>/<number>`, and Envoy shows the last accepted one as
`listener_manager.lds.version_text` (https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/lds). Changes
of Services, VirtualServices and DestinationRules all push listeners (istio/istio release-1.31 pilot/pkg/xds/lds.go,
skippedLdsConfigs). How long that takes depends on how busy istiod is: it gathers changes for 0.1 to 10 seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ApiError, UnreachableError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import SIDECAR_CONTAINER
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path

# Of each workload.
PODS_WATCHED = 3
ADMIN_COMMAND = ("pilot-agent", "request", "GET", "stats?filter=listener_manager.lds.version_text")
ADMIN_TIMEOUT = 5.0
POLL = 0.3
# A push that began just before the write can arrive after it. One whose name is younger than the write cannot be that;
# for another one of the same second, wait whether a further one follows.
QUIET_SECONDS = 1.5
# Routes follow listeners, one message later.
ROUTES_SECONDS = 0.3
# Where no sidecar may be asked, as without the right to exec: a quiet istiod needs less than a second.
BLIND_SECONDS = 3.0
# istiod gathers changes for ten seconds at most (PILOT_DEBOUNCE_MAX).
LONGEST_WAIT = 15.0
_VERSION = re.compile(r'version_text: "([^"]*)"')


def sidecars(path: Path) -> list[str]:
    """`namespace/pod` of the ready sidecars on a path; a few of many replicas are enough to see a push arrive."""
    workloads = [workload for hop in path.hops for workload in (hop.step.client, hop.step.server)]
    pods = [pod for workload in workloads for pod in workload.ready_pods[:PODS_WATCHED] if pod.mesh == "sidecar"]
    return list(dict.fromkeys(f"{pod.namespace}/{pod.name}" for pod in pods))


def versions(client: Client, sidecars: Iterable[str]) -> dict[str, str]:
    """The push that each sidecar runs on, by `namespace/pod`, without those that cannot be asked."""
    found = {}
    for sidecar in sidecars:
        version = _version(client, sidecar)
        if version:
            found[sidecar] = version
    return found


def wait(client: Client, before: Mapping[str, str], written: str, timeout: float, clock: Clock) -> None:
    """Wait until each sidecar of `before` runs on a push that holds the write, or the longest time of a push is over.

    before: from `versions`, just before the write. written: when that was, RFC 3339 in UTC, by the API server. What has
    not arrived by then is for the proof to find: some changes concern only some sidecars, which alone get a push.
    """
    if not before:
        clock.sleep(min(BLIND_SECONDS, timeout))
        return
    deadline = clock.now() + min(LONGEST_WAIT, timeout)
    seen = dict(before)
    changed_at: dict[str, float] = {}
    waiting = set(before)
    while waiting and clock.now() < deadline:
        clock.sleep(POLL)
        for sidecar in sorted(waiting):
            version = _version(client, sidecar)
            if version != seen[sidecar]:
                seen[sidecar], changed_at[sidecar] = version, clock.now()
            quiet = sidecar in changed_at and clock.now() - changed_at[sidecar] >= QUIET_SECONDS
            if not version or version.partition("/")[0] > written or quiet:
                waiting.discard(sidecar)
    clock.sleep(ROUTES_SECONDS)


def _version(client: Client, sidecar: str) -> str:
    """ "" where the sidecar cannot be asked or has gone."""
    namespace, _slash, pod = sidecar.partition("/")
    try:
        output = streams.execute(client, namespace, pod, SIDECAR_CONTAINER, ADMIN_COMMAND, ADMIN_TIMEOUT)
    except (ApiError, UnreachableError):
        return ""
    found = _VERSION.search(output.stdout)
    return found[1] if found else ""
