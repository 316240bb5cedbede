# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server on the path does with a query: answer it, or send it on under some Host."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer

PRESERVE, UPSTREAM = "preserve", "upstream"
HTTP_1_0, HTTP_1_1, HTTP_2 = "1.0", "1.1", "2"


class Relay(NamedTuple):
    """kind      e.g. "prom-label-proxy"; "" for a server that answers itself has no upstream
    container     the container that listens
    upstream      URL to which it sends queries; "" = it answers them, or with a problem: it cannot be told
    host          PRESERVE (the Host that came in), UPSTREAM (the upstream URL's), or a literal Host; "" with a problem:
                  it cannot be told
    tenant_label  the label that it enforces; "" = none
    problem       why upstream or host cannot be told; "" where both are known
    http_version  what it speaks to its upstream; "" = it cannot be told
    how           for people: what to write where, so that it sends the Host `{host}` by HTTP/1.1; "" where the kind
                  takes it as an argument, which a fix can set
    """

    kind: str
    container: str
    upstream: str = ""
    host: str = PRESERVE
    tenant_label: str = ""
    problem: str = ""
    http_version: str = HTTP_1_1
    how: str = ""


# ConfigMaps of the pod's namespace by name, in this order. The kind is ConfigMap (texts) or ConfigDocuments (decoded).
ReadConfig = Callable[[str, tuple[str, ...]], tuple[Answer, ...]]


class Arrival(NamedTuple):
    """A query that reaches a pod. path: of the URL that was dialled, as far as it is known."""

    port: int
    path: str
    read: ReadConfig


# Looks at what a pod does with a query; None: no known program listens there. Raises NotReadError.
Recognise = Callable[[Pod, Arrival], "Relay | None"]
