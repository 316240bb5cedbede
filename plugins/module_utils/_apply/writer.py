# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else wrote to an object, as its managed fields tell.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import FIELD_MANAGER
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


def last(obj: Object) -> tuple[str, str]:
    """Field manager and time (RFC 3339) of the last write, of a status apart; "" where nothing tells or it was ours."""
    newest = max(objects.writers(obj), key=lambda writer: objects.text(writer.get("time")), default={})
    who = objects.text(newest.get("manager"))
    return ("", "") if who in ("", FIELD_MANAGER) else (who, objects.text(newest.get("time")))
