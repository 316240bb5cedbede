#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""List the runs that changed a Grafana query path."""

from __future__ import annotations

DOCUMENTATION = r"""
module: query_path_remediation_info
short_description: Lists the runs that changed a Grafana query path
version_added: 0.1.0
author:
  - Mesh operations maintainers (@meshops)
description:
  - Lists what M(meshops.istio_remediation.query_path_remediation) recorded in the cluster, newest run first, and says
    who is changing a path at the moment.
  - Lists the copies of proxies that stand for a rehearsal too, which are left where one was killed. They are looked for
    in the whole cluster or, where Deployments may not be listed there, by name in the namespaces that the options and
    the records name. Whatever cannot be seen is said to be unknown.
  - A run whose RV(runs[].open) is true can be taken back by its name, with
    O(meshops.istio_remediation.query_path_remediation#module:run).
options:
  all_paths:
    description:
      - Whether to list the runs of every Grafana whose records lie in O(journal_namespace), not only of the one that
        O(grafana_kind), O(grafana_namespace) and O(grafana_name) name.
    type: bool
    default: false
extends_documentation_fragment:
  - meshops.istio_remediation.auth
  - meshops.istio_remediation.query_path
  - meshops.istio_remediation.journal
  - meshops.istio_remediation.attributes
  - meshops.istio_remediation.attributes.info_module
  - meshops.istio_remediation.attributes.action_group
notes:
  - Only the options that name the Grafana workload matter here; the path itself is not read.
  - A copy that was left is removed by the next M(meshops.istio_remediation.query_path_remediation) on its path, with
    O(meshops.istio_remediation.query_path_remediation#module:state=applied).
seealso:
  - module: meshops.istio_remediation.query_path_remediation
"""

EXAMPLES = r"""
- name: Find out what was changed for this Grafana
  meshops.istio_remediation.query_path_remediation_info:
    grafana_namespace: monitoring
  register: history

- name: Take the oldest run back that is still open
  meshops.istio_remediation.query_path_remediation:
    grafana_namespace: monitoring
    state: reverted
    run: "{{ (history.runs | selectattr('open') | last).name }}"
"""

RETURN = r"""
runs:
  description: The runs, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the run, which is also that of its ConfigMap.
      type: str
    grafana:
      description: The workload from which queries start, as C(Kind/namespace/name).
      type: str
    who:
      description: Who ran it, as C(user@host) of the machine on which the module ran.
      type: str
    started:
      description: When it was begun, by that machine's clock, in UTC.
      type: str
    updated:
      description: When the record was last written.
      type: str
    strategy:
      description: The fix.
      type: str
    protocol:
      description: What V(service_protocol) declared; empty for other fixes.
      type: str
    plan_hash:
      description: Hash of the plan.
      type: str
    state:
      description:
        - V(applied) or V(reverted). V(started) is a run that goes on or was cut off, V(failed) one that could not be
          taken back wholly.
      type: str
    open:
      description: Whether there may be something to take back.
      type: bool
    note:
      description: Why the run failed or was taken back; empty where it is told nowhere.
      type: str
    changes:
      description:
        - The changes, in the order in which they were written, as
          RV(meshops.istio_remediation.query_path_remediation#module:changes) has them, each with its C(state) besides.
        - The state is V(pending), V(writing) (it is unknown whether it was written), V(applied) or V(reverted).
      type: list
      elements: dict
unreadable:
  description: Records that cannot be read, as sentences.
  returned: success
  type: list
  elements: str
holders:
  description: Who is changing a path now, or was when its run died; empty where nobody is.
  returned: success
  type: list
  elements: dict
  contains:
    lease:
      description: The Lease, as C(namespace/name).
      type: str
    who:
      description: The holder, as C(user@host).
      type: str
    since:
      description: Since when, by the API server's clock, in UTC.
      type: str
    until:
      description: When the Lease expires unless it is renewed.
      type: str
    expired:
      description: Whether it has. Its run is dead then, and the next one takes the Lease over.
      type: bool
copies:
  description: Copies of proxies that rehearsals have set up.
  returned: success
  type: list
  elements: dict
  contains:
    deployment:
      description: The copy, as C(namespace/name). What it owns has the same name.
      type: str
    under_way:
      description: Whether a run holds its path. If none does, the copy was left.
      type: bool
unknown:
  description: Where it could not be seen whether a copy stands, and why, as sentences.
  returned: success
  type: list
  elements: str
api:
  description: Number of requests and size of their answers.
  returned: success
  type: dict
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _module

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import Record
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client

OPTIONS: _module.Spec = {
    "journal_namespace": {"type": "str"},
    "all_paths": {"type": "bool", "default": False},
}


def work(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """List runs and holders."""
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import copies, find
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal.record import JournalError, Record

    params = module.params
    namespace = params["journal_namespace"] or params["grafana_namespace"]
    path_id = "" if params["all_paths"] else _module.question(params).path_id
    records: list[Record] = []
    unreadable: list[str] = []
    for config_map in find.config_maps(client, namespace, path_id):
        try:
            records.append(Record(config_map))
        except JournalError as error:
            unreadable.append(str(error))
    paths = {path_id, *(record.path_id for record in records)} - {""}
    written = {entry.change.target.namespace for record in records for entry in record.entries}
    known = list(dict.fromkeys([params["grafana_namespace"], namespace, *sorted(written)]))
    found = copies.anywhere(client, sorted(paths), known, others=params["all_paths"])
    holders = _holders(client, namespace, paths | {copy.path_id for copy in found.copies})
    at_work = {path for path, holder in holders.items() if not holder["expired"]}
    standing = [{"deployment": str(copy), "under_way": copy.path_id in at_work} for copy in found.copies]
    return {
        "runs": [_plain(record) for record in records],
        "unreadable": unreadable,
        "holders": list(holders.values()),
        "copies": standing,
        "unknown": list(found.unknown),
        "api": _module.api_usage(client),
    }


def _holders(client: Client, namespace: str, paths: set[str]) -> dict[str, dict[str, Any]]:
    """Who holds these paths, by path."""
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._journal import lock

    return {
        path: {
            "lease": f"{namespace}/{lock.name(path)}",
            "who": holder.who,
            "since": lock.micro_time(holder.since),
            "until": lock.micro_time(holder.until),
            "expired": holder.until <= client.server_time(),
        }
        for path in sorted(paths)
        if (holder := lock.read(client, namespace, path))
    }


def _plain(record: Record) -> dict[str, Any]:
    texts = ("grafana", "who", "started", "updated", "strategy", "protocol", "plan_hash", "note")
    changes = [
        {
            "action": entry.change.action,
            "target": str(entry.change.target),
            "before": entry.change.before,
            "after": entry.change.after,
            "why": entry.change.why,
            "state": entry.state,
        }
        for entry in record.entries
    ]
    told = {key: record.data.get(key, "") for key in texts}
    return {"name": record.name, **told, "state": record.state, "open": record.open, "changes": changes}


def main() -> None:
    """Run the module."""
    _module.run(OPTIONS, work)


if __name__ == "__main__":
    main()
