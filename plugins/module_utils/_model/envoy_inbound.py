# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's sidecar accepts on a port, by its own configuration.

Source: istio/istio release-1.31 pilot/pkg/networking/core/filterchain_options.go:42-148 (which chains a mode gives a
port) and listener_inbound.go:759-789 (ports that no Service declares meet the chains without a port).
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_types import (
    Chain,
    Dump,
    PolicyRule,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.peer_authentication import (
    DISABLE,
    PERMISSIVE,
    STRICT,
)

VIRTUAL_INBOUND = "virtualInbound"


class Accepted(NamedTuple):
    """mode: STRICT, PERMISSIVE, DISABLE, or "" where the port takes nothing (or the dump has no inbound listener).

    kinds     which of http and tcp its chains are
    declared  a Service declares the port; False: it meets the chains for all other ports
    denies    on TCP: an ALLOW filter without rules denies every connection
    rules     of the AuthorizationPolicies, by kind of the chain
    """

    mode: str
    kinds: tuple[str, ...]
    declared: bool
    denies: bool
    rules: dict[str, tuple[PolicyRule, ...]]


def accepted(dump: Dump, port: int) -> Accepted:
    """What the sidecar does with connections to a container port."""
    listener = next((entry for entry in dump.listeners if entry.name == VIRTUAL_INBOUND), None)
    every = [entry for entry in listener.chains if entry.kind] if listener else []
    own = [entry for entry in every if entry.port == port]
    chains = own or [entry for entry in every if not entry.port]
    plain = any(not entry.tls and entry.transport != "tls" for entry in chains)
    mutual = any(entry.tls and entry.certificate for entry in chains)
    modes = {(True, True): PERMISSIVE, (True, False): DISABLE, (False, True): STRICT}
    tcp = [entry for entry in chains if entry.kind == "tcp"]
    return Accepted(
        modes.get((plain, mutual), ""),
        tuple(sorted({entry.kind for entry in chains})),
        bool(own),
        any(action == "ALLOW" and not _rules([entry], action) for entry in tcp for action in entry.rbac),
        {kind: _rules([entry for entry in chains if entry.kind == kind]) for kind in ("http", "tcp")},
    )


def _rules(chains: list[Chain], action: str = "") -> tuple[PolicyRule, ...]:
    return tuple(dict.fromkeys(rule for entry in chains for rule in entry.rules if not action or rule.action == action))
