# SPDX-License-Identifier: GPL-3.0-or-later
"""An EnvoyFilter may change what a hop meets, and no witness has shown that it does not."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.envoy_filter import Touch
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import witnesses
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, finding
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import (
    UNKNOWN,
    Finding,
    Rule,
)

RULE = Rule(
    code="QP603",
    title="EnvoyFilter that may change the hop",
    pattern=(
        "An EnvoyFilter of the root namespace or of the workload's own selects a sidecar of the hop and patches the "
        "listener, route table or cluster that it meets, or adds a filter that can answer or reroute by itself. "
        "Patches for another context, port, cluster or Istio release do not count, nor do merges that set timeouts, "
        "retries, headers or logs alone, nor filters that only watch: Istio's own telemetry, Lua that neither answers "
        "nor reroutes."
    ),
    why="A patch changes Envoy's configuration after Istio has made it, so its resources alone do not tell the way.",
    evidence=(
        "The EnvoyFilter and its patch. `istioctl proxy-config routes|listeners|clusters` on the sidecar shows what "
        "became of it."
    ),
    fix=(
        "Let another witness speak: with `read_envoy` and the right to exec, Envoy itself shows listener, route and "
        "cluster; a query in the access logs shows what a filter in between does. Where one of them agrees with the "
        "configuration, the verdict stands."
    ),
    source=(
        "istio/istio release-1.31 pilot/pkg/model/push_context.go EnvoyFilters, policyattachment.go "
        "ShouldAttachPolicy, pilot/pkg/networking/core/envoyfilter; docs/truth-table.md row 15."
    ),
)
BY_ENVOY = "Envoy's own configuration (read_envoy) or the access log of a query"
BY_LOGS = "the access log of a query that passes"


def check(case: Case) -> Iterator[Finding]:
    if case.filters_unread:
        summary = f"Whether EnvoyFilters change the path cannot be told: {case.filters_unread[0]}."
        yield Finding(RULE.code, UNKNOWN, "the mesh's configuration", summary, case.filters_unread)
    for index, touches in case.touches.items():
        open_ones = [touch for touch in touches if not witnesses.settles(case, index, touch)]
        if open_ones:
            yield finding(RULE, case, index, UNKNOWN, _summary(open_ones), tuple(map(_line, open_ones)))


def _summary(touches: list[Touch]) -> str:
    names = list(dict.fromkeys(touch.filter for touch in touches))
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    sidecars = " and ".join(f"{name}'s" for name in dict.fromkeys(touch.sidecar for touch in touches))
    how = BY_ENVOY if all(touch.shown for touch in touches) else BY_LOGS
    return f"{names[0]}{more} may change what {sidecars} sidecar does with this hop; {how} would tell."


def _line(touch: Touch) -> str:
    return f"{touch.filter} on {touch.sidecar}'s sidecar: {touch.patch}"
