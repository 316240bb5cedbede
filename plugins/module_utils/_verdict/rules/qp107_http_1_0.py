# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy speaks HTTP/1.0 to an upstream whose port is declared as HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import BROKEN, Finding, Rule

RULE = Rule(
    code="QP107",
    title="HTTP/1.0 to an upstream's HTTP port",
    pattern=(
        "nginx before 1.29.7 without `proxy_http_version 1.1`, or httpd with `force-proxy-request-1.0`, in front of a "
        "Service port that is declared as HTTP."
    ),
    why=(
        "The client sidecar's listener for the port sniffs, and its HTTP filter chain takes `http/1.1` and `h2c` "
        "alone. HTTP/1.0 falls to the default chain, which forwards TCP to PassthroughCluster: plaintext, whatever the "
        "Host is. A STRICT server resets the connection; a PERMISSIVE one accepts it unencrypted and without a client "
        "identity."
    ),
    evidence=(
        'Client sidecar: a TCP line, `"- - -" 0 … PassthroughCluster`, without authority and route. The proxy answers '
        "502. Server sidecar under STRICT: `0 NR filter_chain_not_found`."
    ),
    fix=(
        "Write `proxy_http_version 1.1;` beside the `proxy_pass`, or use nginx 1.29.7 or later. Leaving the port's "
        "protocol undeclared or declaring it TCP (`service_protocol`) cures it too. A right Host alone does not. "
        "`PILOT_HTTP10=1` on istiod makes the listeners of the whole mesh take HTTP/1.0."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/networking/core/listener.go:85-94, 680-686, 934-944. Measured on the lab "
        "with nginx: 502, client flag UR."
    ),
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop, status in case.troubled():
        if not hop.route.default_chain:
            continue
        step = hop.step
        relay = step.client_relay.kind if step.client_relay else "The client"
        outcome = "which ends there" if status == BROKEN else "unencrypted"
        summary = (
            f"{relay} in {step.client.name} speaks HTTP/1.0 to {step.service.name}:{step.port.number}, an HTTP port; "
            f"its sidecar takes that for TCP and sends it to {hop.route.cluster}, {outcome}."
        )
        declared = (
            f"port {step.port.number} of Service {step.service.namespace}/{step.service.name}: {hop.protocol.why}"
        )
        yield finding(RULE, case, index, status, summary, (declared, hop.route.why))
