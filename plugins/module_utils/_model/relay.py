# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server on the path does with a query: answer it, or send it on under some Host."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod

PRESERVE, UPSTREAM = "preserve", "upstream"


class Relay(NamedTuple):
    """kind      e.g. "prom-label-proxy"; "" for a server that answers itself has no upstream
    container     the container that listens
    upstream      URL to which it sends queries; "" = it answers them
    host          PRESERVE (the Host that came in), UPSTREAM (the upstream URL's), or a literal Host
    tenant_label  the label that it enforces; "" = none
    problem       why upstream or host cannot be told; "" where both are known
    """

    kind: str
    container: str
    upstream: str = ""
    host: str = PRESERVE
    tenant_label: str = ""
    problem: str = ""


# Looks at what listens on a port of a pod; None: no known program.
Recognise = Callable[[Pod, int], "Relay | None"]
