# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases of runs that died: a test does not wait until they expire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from meshlab.api import MERGE, Api
from stage.place import NAMESPACE

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


def expire(api: Api) -> None:
    """Make every Lease of the namespace look as if its holder had last renewed it too long ago."""
    for lease in api.get(LEASES)["items"]:
        then = datetime.now(timezone.utc) - timedelta(seconds=lease["spec"]["leaseDurationSeconds"] + 1)
        renewed = {"spec": {"renewTime": then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
        api.request("PATCH", f"{LEASES}/{lease['metadata']['name']}", renewed, MERGE)


def holders(api: Api) -> list[str]:
    """Who holds a Lease in the namespace."""
    return [lease["spec"]["holderIdentity"] for lease in api.get(LEASES)["items"]]
