# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps two runs from changing one path at the same time: whoever writes holds the path's Lease.

It is taken before the first write and deleted at the end. One whose holder died expires, and is taken over by exactly
one run: the takeover tests the resourceVersion that was looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.clock import REAL_CLOCK, Clock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply.journal import who
from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import lock
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import (
    FIELD_MANAGER,
    Client,
    exists,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ConflictError,
    InvalidError,
    KubeError,
    NotFoundError,
    may_have_been_done,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

# Seconds after which a Lease that is not renewed expires, and after which it is renewed.
DURATION = 60
RENEW_AFTER = 15.0


class HeldError(KubeError):
    """Another run is changing the path."""


class LostError(KubeError):
    """The path is no longer ours, so nothing more may be written."""


class Lease:
    """A path that is ours until `release`."""

    def __init__(self, client: Client, taken: Object, clock: Clock) -> None:
        """taken: the Lease as we hold it."""
        self._client, self._taken, self._clock = client, taken, clock
        self._renewed = clock.now()

    def keep(self) -> None:
        """To be called before every write and while waiting: renews when it is due. Raises LostError."""
        age = self._clock.now() - self._renewed
        if age < RENEW_AFTER:
            return
        try:
            self._renew()
        except (NotFoundError, ConflictError, InvalidError) as error:
            raise LostError(f"{self._name} was taken over by another run, so this one stopped.") from error
        except KubeError as error:
            # Whoever cannot reach the API server cannot write either; a later renewal may do before it expires.
            if age >= DURATION - RENEW_AFTER:
                raise LostError(f"{self._name} could not be renewed, so this run stopped: {error}") from error

    def release(self) -> None:
        """Give the path free. What goes wrong becomes a warning: the Lease expires by itself."""
        try:
            try:
                self._delete()
            except ConflictError:
                # It is another's by now; or a renewal went through whose answer was lost.
                place = objects.namespace(self._taken), objects.name(self._taken)
                found = exists(self._client, "Lease", *place) or {}
                if objects.spec(found).get("holderIdentity") == objects.spec(self._taken).get("holderIdentity"):
                    self._taken = found
                    self._delete()
        except NotFoundError:
            return
        except KubeError as error:
            self._client.warnings.append(f"{self._name} stays until it expires, for it was not released: {error}")

    def _delete(self) -> None:
        meta = objects.metadata(self._taken)
        place = objects.namespace(self._taken), objects.name(self._taken)
        uid, version = objects.text(meta.get("uid")), objects.text(meta.get("resourceVersion"))
        self._client.delete("Lease", *place, uid, resource_version=version, repeatable=True)

    def _renew(self) -> None:
        now = self._clock.now()
        spec = objects.spec(self._taken)
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/uid", "value": objects.metadata(self._taken).get("uid")},
            {"op": "test", "path": "/spec/holderIdentity", "value": spec.get("holderIdentity")},
            {"op": "replace", "path": "/spec/renewTime", "value": lock.micro_time(self._client.server_time())},
        ]
        place = objects.namespace(self._taken), objects.name(self._taken)
        self._taken = self._client.patch("Lease", *place, operations, repeatable=True)
        self._renewed = now

    @property
    def _name(self) -> str:
        return f"Lease {objects.namespace(self._taken)}/{objects.name(self._taken)}"


def look(client: Client, namespace: str, path_id: str) -> Object | None:
    """The Lease of a path that is free to be taken; None where there is none yet. Raises HeldError."""
    found = exists(client, "Lease", namespace, lock.name(path_id))
    holder = lock.holder(found) if found else None
    if holder and holder.until > client.server_time():
        place = f"{namespace}/{lock.name(path_id)}"
        raise HeldError(
            f"This path is being changed by {holder.who} since {holder.since:%Y-%m-%dT%H:%M:%SZ}; wait, or, should "
            f"that run be dead, try again after {holder.until:%H:%M:%SZ}, when its Lease {place} expires."
        )
    return found


def take(client: Client, namespace: str, path_id: str, clock: Clock = REAL_CLOCK) -> Lease:
    """Make a path ours. Raises HeldError where it is another's."""
    found = look(client, namespace, path_id)
    identity = f"{who()}/{secrets.token_hex(4)}"
    now = client.server_time()
    times = {"acquireTime": lock.micro_time(now), "renewTime": lock.micro_time(now)}
    spec = {"holderIdentity": identity, "leaseDurationSeconds": DURATION, **times}
    try:
        if found is None:
            return Lease(client, client.create("Lease", _body(namespace, path_id, spec), repeatable=True), clock)
        transitions = int(objects.spec(found).get("leaseTransitions") or 0) + 1
        version = objects.metadata(found).get("resourceVersion")
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec", "value": {**spec, "leaseTransitions": transitions}},
        ]
        place = namespace, lock.name(path_id)
        return Lease(client, client.patch("Lease", *place, operations, repeatable=True), clock)
    except (ConflictError, InvalidError, NotFoundError) as error:
        # Another run was faster; or our own write went through and its answer was lost.
        return _taken_all_the_same(client, namespace, path_id, identity, clock, error)
    except KubeError as error:
        if not may_have_been_done(error):
            raise
        return _taken_all_the_same(client, namespace, path_id, identity, clock, error)


@contextmanager
def held(client: Client, namespace: str, path_id: str, clock: Clock = REAL_CLOCK) -> Iterator[Lease]:
    """A path that is ours while the block runs, however it ends. Raises HeldError."""
    lease = take(client, namespace, path_id, clock)
    try:
        yield lease
    finally:
        lease.release()


def _taken_all_the_same(
    client: Client, namespace: str, path_id: str, identity: str, clock: Clock, error: KubeError
) -> Lease:
    found = exists(client, "Lease", namespace, lock.name(path_id))
    if found is not None and objects.spec(found).get("holderIdentity") == identity:
        return Lease(client, found, clock)
    look(client, namespace, path_id)
    raise error


def _body(namespace: str, path_id: str, spec: Object) -> Object:
    labels = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
    metadata = {"namespace": namespace, "name": lock.name(path_id), "labels": labels}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
