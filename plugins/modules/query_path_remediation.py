#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cure a Grafana query path, or take the cure back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: query_path_remediation
short_description: Cures a Grafana query path through an Istio mesh, or takes the cure back
version_added: 0.1.0
author:
  - Mesh operations maintainers (@meshops)
description:
  - With O(state=applied), diagnoses the path as M(meshops.istio_remediation.query_path_info) does, takes the fix that
    O(strategy) names, rehearses all its changes on the API server, writes them one by one, and waits for their effect.
    What goes wrong on the way is taken back, and the run is changed all the same. A healthy path is left alone.
  - With O(state=reverted), restores what stood before the newest run for this Grafana. What someone else changed since
    is not overwritten but reported.
  - What is changed is recorded in a ConfigMap before the first write, so that a run that was cut off can be taken back
    too. A Lease keeps two runs from changing the same path at the same time; one whose holder died expires in a minute.
  - Asks the API server first, in check mode too, whether it holds every right that the run needs, those for taking it
    back included, and names all that are missing. C(docs/access.md) says how to grant them.
  - Effects that take something away from others, such as a policy that changes its meaning, need explicit consent.
extends_documentation_fragment:
  - meshops.istio_remediation.auth
  - meshops.istio_remediation.query_path
  - meshops.istio_remediation.cluster
  - meshops.istio_remediation.journal
  - meshops.istio_remediation.plan
  - meshops.istio_remediation.proof
  - meshops.istio_remediation.attributes
  - meshops.istio_remediation.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - All changes are tried on the API server without being stored (server-side dry run), admission webhooks included.
  diff_mode:
    support: full
    details:
      - Shows the fields that are written and no others.
  idempotent:
    support: full
seealso:
  - module: meshops.istio_remediation.query_path_info
  - module: meshops.istio_remediation.query_path_probe
  - module: meshops.istio_remediation.query_path_remediation_info
"""

EXAMPLES = r"""
- name: Cure the path with the least harmful fix that works
  meshops.istio_remediation.query_path_remediation:
    grafana_namespace: monitoring
  register: cure

- name: Declare the port as TCP, and accept what that does to a policy
  meshops.istio_remediation.query_path_remediation:
    grafana_namespace: monitoring
    strategy: service_protocol
    protocol: tcp
    accept_effects:
      - denies_all:AuthorizationPolicy/monitoring/prometheus-readers

- name: Carry out exactly the plan that was approved
  meshops.istio_remediation.query_path_remediation:
    grafana_namespace: monitoring
    strategy: host_rewrite
    plan_hash: "{{ approved_plan_hash }}"

- name: Take it back
  meshops.istio_remediation.query_path_remediation:
    grafana_namespace: monitoring
    state: reverted
"""

RETURN = r"""
msg:
  description: What was done, or why nothing was, in one sentence.
  returned: always
  type: str
verdict:
  description: The verdict before the change, as M(meshops.istio_remediation.query_path_info) returns it.
  returned: with O(state=applied)
  type: dict
strategy:
  description: The fix that was taken; empty where none was needed.
  returned: success
  type: str
protocol:
  description: What V(service_protocol) declared; empty for other fixes.
  returned: success
  type: str
effects:
  description: What the fix does besides curing the path.
  returned: with O(state=applied)
  type: list
  elements: dict
consent_needed:
  description: Tokens that O(accept_effects) lacks.
  returned: when the fix is refused for them
  type: list
  elements: str
at_owner:
  description: What to change where the owner of an object gets it from, as in C(at_owner) of C(docs/contract.md).
  returned: with O(state=applied)
  type: list
  elements: dict
changes:
  description: The changes, in the order in which they are written; the same in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of V(patch), V(create) and V(delete).
      type: str
    target:
      description: The object, as C(Kind/namespace/name).
      type: str
    before:
      description: The fields before; empty for an object that is created.
      type: dict
    after:
      description: The fields after; empty for an object that is deleted.
      type: dict
    why:
      description: What the change is for.
      type: str
plan_hash:
  description: Hash of the plan.
  returned: with O(state=applied)
  type: str
run:
  description: Name of the run, which is also that of its ConfigMap in O(journal_namespace); empty in check mode.
  returned: success
  type: str
restored:
  description: Objects that stand as before again.
  returned: with O(state=reverted)
  type: list
  elements: str
left:
  description:
    - What could not be taken back, as sentences. Where someone else changed an object since, they say for each of our
      fields what stood there before, what we wrote, and what stands there now.
  returned: with O(state=reverted), or when a change failed
  type: list
  elements: str
result:
  description: What the rehearsal proved; RV(checks) says why, as with M(meshops.istio_remediation.query_path_probe).
  returned: with O(rehearse=true)
  type: str
checks:
  description: Each promise that was tested on the copy.
  returned: with O(rehearse=true)
  type: list
  elements: dict
shadow:
  description: What the copy is made of, as C(Kind/namespace/name); its Deployment comes first.
  returned: with O(rehearse=true)
  type: list
  elements: str
not_shown:
  description: What a copy leaves open, as sentences, such as what a Service's other clients meet.
  returned: with O(rehearse=true)
  type: list
cluster_uid:
  description: Uid of the namespace C(kube-system), for O(expect_cluster_uid); empty where it may not be read.
  returned: success
  type: str
api:
  description: Number of requests and size of their answers.
  returned: success
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _diagnosing, _module

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client

STRATEGIES = ["auto", "host_rewrite", "route_alias", "service_protocol", "destination_rule"]

OPTIONS: _module.Spec = {
    **_module.PROOF_OPTIONS,
    "state": {"type": "str", "choices": ["applied", "reverted"], "default": "applied"},
    "strategy": {"type": "str", "choices": STRATEGIES, "default": "auto"},
    "protocol": {"type": "str", "choices": ["auto", "tcp"], "default": "auto"},
    "accept_effects": {"type": "list", "elements": "str", "default": []},
    "plan_hash": {"type": "str"},
    "annotate": {"type": "bool", "default": False},
    "rehearse": {"type": "bool", "default": False},
    "journal_namespace": {"type": "str"},
    "run": {"type": "str"},
    "force_live": {"type": "bool", "default": False},
    "soak_seconds": {"type": "int"},
    "wait_timeout": {"type": "int", "default": 120},
    "expect_cluster_uid": {"type": "str"},
}


def work(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Cure or take back; the sentence of a refusal goes through FailError."""
    for option, state in (("run", "reverted"), ("rehearse", "applied")):
        if module.params[option] and module.params["state"] != state:
            raise _module.FailError(f"{option} is for state: {state} only.", {})
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.access import Access

    do = _apply if module.params["state"] == "applied" else _revert
    done = do(module, client, Access(client))
    return {**done, "api": _module.api_usage(client)}


def _apply(module: AnsibleModule, client: Client, access: Access) -> dict[str, Any]:
    from ansible_collections.meshops.istio_remediation.plugins.module_utils import _rehearsal, _result
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import (
        executor,
        journal,
        push,
        rights,
        run,
        soak,
        summary,
    )
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import cluster
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import choice
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.rights import to_diagnose

    params = module.params
    if not 0 <= (params["soak_seconds"] or 0) <= soak.LONGEST_SECONDS:
        raise _module.FailError(f"soak_seconds must be from 0 to {soak.LONGEST_SECONDS}.", {})
    namespace = params["journal_namespace"] or params["grafana_namespace"]
    access.require(to_diagnose(_module.question(params)))
    cluster_uid = cluster.identify(client, access, params["expect_cluster_uid"] or "")
    diagnosis, _snapshot = _diagnosing.diagnose(client, params, applying=True)
    if left := _rehearsal.sweep(client, access, diagnosis, namespace, module.check_mode):
        # It, such as a route, may have had a part in the diagnosis.
        diagnosis, _snapshot = _diagnosing.diagnose(client, params, applying=True, without=left)
    plain = _result.to_dict(diagnosis)
    verdict = diagnosis.judgement.verdict
    result: dict[str, Any] = {"verdict": plain["verdict"], "run": "", "changes": [], "effects": []}
    result |= {"at_owner": [], "strategy": "", "protocol": "", "plan_hash": "", "cluster_uid": cluster_uid}
    if verdict.status == "healthy":
        return {**result, "msg": f"Nothing to cure: {verdict.summary}"}
    if verdict.status == "inconclusive":
        raise _module.FailError(f"The diagnosis is inconclusive, so nothing was changed: {verdict.summary}", result)
    asked_for = (params["strategy"], params["protocol"], params["accept_effects"], params["plan_hash"] or "")
    # A rehearsal writes to nothing that has an owner.
    wish = choice.Wish(*asked_for, params["force_live"] or params["rehearse"])
    try:
        remedy = choice.choose(diagnosis.remedies, wish, verdict.summary)
    except choice.RefusedError as refused:
        if refused.remedy:
            result |= {"strategy": refused.remedy.strategy, "protocol": refused.remedy.protocol}
        result["at_owner"] = [entry._asdict() for entry in refused.at_owner]
        raise _module.FailError(str(refused), {**result, "consent_needed": list(refused.missing)}) from refused
    if not params["rehearse"]:
        access.require(rights.to_apply(remedy.changes, namespace))
    result |= {
        "strategy": remedy.strategy,
        "protocol": remedy.protocol,
        "plan_hash": remedy.hash,
        "effects": _result.remedy_to_dict(remedy)["effects"],
        "at_owner": [entry._asdict() for entry in remedy.at_owner],
        "changes": [summary.plain(change) for change in remedy.changes],
    }
    if module._diff:
        result["diff"] = [summary.diff(change) for change in remedy.changes]
    if params["rehearse"]:
        trial = _rehearsal.Trial(namespace, params["wait_timeout"], *_module.proof_options(params))
        tried = _rehearsal.rehearse(client, access, diagnosis, remedy, trial, module.check_mode)
        if tried.failed:
            raise _module.FailError(tried.msg, {**result, **tried.result})
        return {**result, **tried.result, "msg": tried.msg}
    result["changed"] = True
    forced = f"force_live: {remedy.reason}" if remedy.at_owner else ""
    plan = (remedy.strategy, remedy.protocol, remedy.hash, " ".join(push.sidecars(diagnosis.path)), forced)
    facts = journal.Facts(diagnosis.question.path_id, str(diagnosis.path.grafana), *plan)
    soak_seconds = soak.seconds(params["soak_seconds"], forced)
    what = f"{'; '.join(change.why for change in remedy.changes)}."
    stayed = f" It stayed for the {soak_seconds} seconds of the soak." if soak_seconds else ""
    try:
        if module.check_mode:
            run.rehearse(client, namespace, facts, remedy.changes)
            return {**result, "msg": f"Would apply {choice.name(remedy)}: {what}"}
        result["run"] = run.carry_out(client, namespace, facts, remedy.changes, params["wait_timeout"], soak_seconds)
    except executor.ApplyError as error:
        failed = {**result, "run": error.run, "changed": error.wrote}
        failed |= {"restored": list(error.undone), "left": list(error.left)}
        raise _module.FailError(f"{choice.name(remedy)} failed: {error}", failed) from error
    return {**result, "msg": f"Applied {choice.name(remedy)}: {what}{stayed}"}


def _revert(module: AnsibleModule, client: Client, access: Access) -> dict[str, Any]:
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._apply import rights, run, summary
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import find
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import cluster

    params = module.params
    namespace = params["journal_namespace"] or params["grafana_namespace"]
    access.require(rights.to_find_journals(namespace))
    cluster_uid = cluster.identify(client, access, params["expect_cluster_uid"] or "")
    path_id = _module.question(params).path_id
    record = (
        find.load(client, namespace, params["run"], path_id)
        if params["run"]
        else find.newest(client, namespace, path_id)
    )
    written = {entry.change.target.namespace for entry in record.entries} if record else set()
    run.tell_of_copies(client, path_id, sorted({params["grafana_namespace"], *written}))
    result: dict[str, Any] = {"run": "", "changes": [], "restored": [], "left": [], "strategy": "", "protocol": ""}
    result |= {"cluster_uid": cluster_uid}
    if record is None or not record.open:
        run.clear(client, access, namespace, path_id, module.check_mode)
        return {**result, "msg": f"Nothing to revert: no open run for this Grafana in namespace {namespace}."}
    result |= {"run": record.name, "strategy": record.data["strategy"], "protocol": record.data["protocol"]}
    access.require(rights.to_revert((entry.change for entry in record.entries), namespace))
    if module.check_mode:
        possible, left = run.rehearse_taking_back(client, record)
        restored, notes, already, changed = [str(change.target) for change in possible], (), (), bool(possible)
    else:
        possible, done = run.take_back(client, record, params["wait_timeout"])
        restored, left, notes, changed = list(done.restored), list(done.left), done.notes, bool(done.written)
        already = done.already
    backwards = [summary.backwards(change) for change in possible]
    result |= {"changed": changed, "changes": [summary.plain(change) for change in backwards]}
    result |= {"restored": restored, "left": left}
    if module._diff:
        result["diff"] = [summary.diff(change) for change in backwards]
    if left or notes:
        raise _module.FailError(f"Run {record.name} is not wholly taken back: {' '.join([*left, *notes])}", result)
    verb = "Would restore" if module.check_mode else "Restored"
    listed = ", ".join(restored) or "it stands as before already"
    return {**result, "msg": " ".join([f"{verb} what stood before run {record.name}: {listed}.", *already])}


def main() -> None:
    """Run the module."""
    _module.run(OPTIONS, work)


if __name__ == "__main__":
    main()
