# SPDX-License-Identifier: GPL-3.0-or-later
"""Two workload policies for one pod."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects, peer_authentication
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.case import Case, hop_name
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.finding import NOTICE, Finding, Rule

RULE = Rule(
    code="QP304",
    title="second PeerAuthentication for one workload, which is ignored",
    pattern="Two or more PeerAuthentications with a selector match the server's pods.",
    why="Istio does not merge them: the oldest one counts, with its portLevelMtls, and the others do nothing.",
    evidence="The policies with their creation times.",
    fix="Merge them into one.",
    source="istio/istio release-1.31 pilot/pkg/security/authn/policy_applier.go:411-423.",
)


def check(case: Case) -> Iterator[Finding]:
    for index, hop in enumerate(case.path.hops):
        found = peer_authentication.workload_policies(case.path.mesh, hop.step.server.pods[0])
        if len(found) > 1:
            counts, *ignored = [objects.reference("PeerAuthentication", obj) for obj in found]
            summary = f"{counts} counts for {hop.step.server.name}; {', '.join(ignored)} is ignored, for it is younger."
            evidence = tuple(f"{objects.reference('PeerAuthentication', obj)}: {objects.created(obj)}" for obj in found)
            yield Finding(RULE.code, NOTICE, hop_name(hop), summary, evidence, index)
