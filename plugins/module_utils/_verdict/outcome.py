# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a request on a hop, under the mode that the server has and under the others.

Every line is a measured row of docs/truth-table.md.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import (
    BLOCKED,
    DYNAMIC_DNS,
    MIXED,
    MTLS,
    NO_CLUSTER,
    OTHER_SERVICE,
    PASSTHROUGH,
    PLAINTEXT,
    TLS,
    UNKNOWN,
    Hop,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import (
    DISABLE,
    STRICT,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.protocol import TCP

OK, FAILS, EXPOSED, UNTOLD = "ok", "fails", "exposed", "unknown"


class Outcome(NamedTuple):
    """kind: ok (arrives by mTLS, or at a server outside the mesh), fails, exposed (arrives in plaintext), unknown."""

    kind: str
    text: str


def of_hop(hop: Hop) -> Outcome:
    """The outcome under the mode that the server has now."""
    return under(hop, hop.mode.mode if hop.mode else None)


def under(hop: Hop, mode: str | None) -> Outcome:
    """The outcome if the server's sidecar accepted by this mode; None: the server has no sidecar."""
    kind = hop.route.kind
    if kind == UNKNOWN:
        return Outcome(UNTOLD, hop.route.why)
    if kind == BLOCKED and hop.route.cluster:
        return Outcome(
            FAILS, f"the client's own sidecar closes the connection ({hop.route.cluster}); the user sees 502"
        )
    if kind == BLOCKED:
        return Outcome(FAILS, "the client's own sidecar answers 502 (block_all); nothing reaches the server")
    if kind == NO_CLUSTER:
        return Outcome(FAILS, "503 NC: the route leads to a cluster that does not exist")
    if kind in (OTHER_SERVICE, DYNAMIC_DNS):
        return Outcome(FAILS, "the request goes to another server than the one it is meant for")
    return _transported(hop.transport.mode, mode, _what_is_seen(hop))


def _what_is_seen(hop: Hop) -> str:
    """Where the client's sidecar handles HTTP it answers itself; a TCP connection that it carries breaks off."""
    carried = hop.route.default_chain or hop.protocol.kind == TCP or hop.step.client.mesh != "sidecar"
    unlisted = hop.route.kind == PASSTHROUGH and not hop.route.name
    return "502" if carried or unlisted else "503"


def _transported(transport: str, mode: str | None, seen: str) -> Outcome:
    if transport == MIXED:
        return Outcome(UNTOLD, "some of the server's pods are reached by mTLS and some in plaintext")
    if mode is None:
        if transport == PLAINTEXT:
            return Outcome(OK, "plaintext to a server outside the mesh")
        return Outcome(FAILS, f"{transport} to a server that has no sidecar to end it")
    if transport == MTLS:
        return (
            Outcome(OK, "mTLS")
            if mode != DISABLE
            else Outcome(FAILS, "mTLS to a port whose sidecar accepts only plaintext")
        )
    if transport == TLS:
        return Outcome(FAILS, "TLS without a workload certificate: the server's sidecar ends the handshake")
    if mode == STRICT:
        return Outcome(
            FAILS,
            "the server's sidecar has no filter chain for plaintext (NR filter_chain_not_found) and resets; the user "
            f"sees {seen}",
        )
    return Outcome(EXPOSED, "accepted unencrypted and unauthenticated: 200, and the fault stays hidden")
