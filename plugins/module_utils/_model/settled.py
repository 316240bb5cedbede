# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when a hop has been as it is: the newest change of all that it rests on, and its way to the sidecars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import access_log, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import settings_need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object, Snapshot

# istiod sends a change to the sidecars within a second (measured: 0.3 to 0.8 s); clocks differ a little.
PUSH = timedelta(seconds=3)


def since(question: Question, snapshot: Snapshot, path: Path, hop: Hop) -> datetime | None:
    """When the newest of all that this hop rests on had reached the sidecars; None where nothing tells a time."""
    server, client = hop.step.server.namespace, hop.step.client.namespace
    root = path.mesh.root_namespace
    policies = _known(snapshot, "AuthorizationPolicy")
    rests_on = [
        hop.step.service.object,
        *snapshot.ask(settings_need(question)).objects,
        *(obj for obj in path.mesh.of("PeerAuthentication") if objects.namespace(obj) in (server, root)),
        *(obj for obj in path.mesh.of("Sidecar") if objects.namespace(obj) in (client, root)),
        *(obj for obj in _known(snapshot, "EnvoyFilter") if objects.namespace(obj) in (client, server, root)),
        *(obj for obj in policies if objects.namespace(obj) in (server, root)),
        *(
            obj
            for obj in path.mesh.of("VirtualService")
            if objects.reference("VirtualService", obj) == hop.route.source
        ),
        *([hop.transport.rule] if hop.transport.rule else []),
    ]
    times = [time for obj in rests_on for time in _changes(obj)]
    starts = [access_log.moment(pod.created) for pod in hop.step.client.pods]
    return max([*(time + PUSH for time in times), *(start for start in starts if start)], default=None)


def _known(snapshot: Snapshot, kind: str) -> list[Object]:
    """All objects of a kind that have been read so far."""
    answers = snapshot.answers().items()
    return [obj for key, answer in answers if key.startswith(f"list {kind} ") for obj in answer.objects]


def _changes(obj: Object) -> Iterator[datetime]:
    for entry in map(objects.mapping, objects.sequence(objects.metadata(obj).get("managedFields"))):
        time = access_log.moment(objects.text(entry.get("time")))
        if time is not None and entry.get("subresource") != "status":
            yield time
    created = access_log.moment(objects.created(obj))
    if created is not None:
        yield created
