# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is changing a path: a Lease (coordination.k8s.io/v1) named after it, in the namespace of its journals.

Here it is only looked at; `_apply/lease.py` takes it. Times are the API server's, so no machine's clock plays a part.
https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class Holder(NamedTuple):
    """who: `user@host`. since, until: in UTC; until is when the Lease expires unless it is renewed."""

    who: str
    since: datetime
    until: datetime


def name(path_id: str) -> str:
    """The Lease's name."""
    return f"istio-remediation-{path_id}"


def holder(lease: Object) -> Holder | None:
    """Who holds a Lease, be it expired or not; None where it was given up."""
    spec = objects.spec(lease)
    # `user@host/<token of the run>`: two runs of one user are two holders.
    who = objects.text(spec.get("holderIdentity")).rpartition("/")[0] or objects.text(spec.get("holderIdentity"))
    if not who:
        return None
    renewed = _moment(objects.text(spec.get("renewTime")))
    seconds = int(spec.get("leaseDurationSeconds") or 0)
    return Holder(who, _moment(objects.text(spec.get("acquireTime"))), renewed + timedelta(seconds=seconds))


def read(client: Client, namespace: str, path_id: str) -> Holder | None:
    """Who holds a path, be the Lease expired or not; None where nobody does."""
    found = exists(client, "Lease", namespace, name(path_id))
    return holder(found) if found else None


def micro_time(moment: datetime) -> str:
    """A moment in UTC as Kubernetes' MicroTime."""
    return moment.astimezone(timezone.utc).strftime(_MICRO_TIME)


def _moment(text: str) -> datetime:
    """A time that cannot be read has long passed."""
    for form in (_MICRO_TIME, "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return datetime.fromtimestamp(0, timezone.utc)
