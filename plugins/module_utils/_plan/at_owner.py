# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an object, as a change of what its owner makes it from: values of a chart, a custom resource, a patch.

Charts whose values are known, as their templates read them (2026-11):
- kube-prometheus-stack: `prometheus.prometheusSpec.portName` names the port of container, Service and custom resource;
  there is no value for appProtocol.
- prom-label-proxy (prometheus-community): `config.extraArgs`, behind three arguments of the chart's own.
- oauth2-proxy: `extraArgs`, a mapping from flag to value.
https://prometheus-operator.dev/docs/api-reference/api/ (spec.containers, spec.portName);
https://grafana.github.io/grafana-operator/docs/api/ (Grafana.spec.deployment).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change, anchors
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.ownership import Owner

VALUES, RESOURCE, KUSTOMIZE, BY_HAND = "values", "resource", "kustomize", "by_hand"
_ARGUMENTS = re.compile(r"spec\.template\.spec\.containers\[(.+)\]\.args")
_PROTOCOL = re.compile(r"spec\.ports\[\d+\]\.appProtocol")
_CHART = re.compile(r"(.+?)-v?\d+\.")
# What the chart prom-label-proxy writes itself.
_OF_THE_CHART = ("--insecure-listen-address=", "--upstream=", "--label=")
_OPERATORS = {"Prometheus": "monitoring.coreos.com/v1", "Grafana": "grafana.integreatly.org/v1beta1"}


class AtOwner(NamedTuple):
    """owner    who takes a change of the live object back
    object   `Kind/namespace/name` of that object
    form     VALUES of a Helm chart, RESOURCE (merge patch of a custom resource), KUSTOMIZE (`patches:`), or BY_HAND
    how      one sentence for people: where it goes
    content  what to paste, as YAML or JSON; {} for BY_HAND
    """

    owner: str
    object: str
    form: str
    how: str
    content: dict[str, Any]


def instead_of(change: Change, obj: Object, owners: Sequence[Owner]) -> AtOwner:
    """What to do in the place of a change. obj: as it is now; owners: of it, outermost first, at least one."""
    outermost, innermost = owners[0], owners[-1]
    whole = (" in ".join(map(str, reversed(owners))), str(change.target))
    if innermost.tool in _OPERATORS:
        content = _resource(innermost, change)
        how = f"Merge this into {innermost.tool} {change.target.namespace}/{innermost.name}, where that is declared."
        return AtOwner(*whole, RESOURCE, how, content) if content else AtOwner(*whole, BY_HAND, _by_hand(owners), {})
    if innermost.tool == ownership.OLM:
        return AtOwner(*whole, BY_HAND, _by_hand(owners), {})
    values = _values(change, _chart(obj))
    release = next((owner for owner in owners if owner.tool == ownership.FLUX_HELM_RELEASE), None)
    if values and release:
        how = f"Merge this into {release}, in its Git source."
        return AtOwner(*whole, RESOURCE, how, {"spec": {"values": values}})
    if values:
        return AtOwner(*whole, VALUES, f"Add this to the values of chart {_chart(obj)} for {outermost}.", values)
    where = f"as a post-renderer of {outermost}" if outermost.tool == ownership.HELM else f"where {outermost} gets it"
    return AtOwner(*whole, KUSTOMIZE, f"Add this to the kustomization.yaml, {where}.", _kustomize(change))


def _by_hand(owners: Sequence[Owner]) -> str:
    return f"Where {owners[-1]} takes this from is not known here; see the documentation of that operator."


def _chart(obj: Object) -> str:
    """The chart's name, from `name-version`; "" where no label tells."""
    labels = objects.labels(obj)
    found = _CHART.match(labels.get("helm.sh/chart") or labels.get("chart", ""))
    return found[1] if found else ""


def _arguments(change: Change) -> tuple[str, list[str], list[str]] | None:
    """Container, arguments before and after, where the change is one of arguments."""
    for label, new in change.after.items():
        found = _ARGUMENTS.fullmatch(label)
        if found:
            return found[1], list(change.before[label] or ()), list(new)
    return None


def _port_name(change: Change) -> str:
    """A name of a port by which Istio takes the same protocol as by our appProtocol; "" for other changes.

    https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
    """
    value = next((new for label, new in change.after.items() if _PROTOCOL.fullmatch(label)), None)
    return "" if value is None else "tcp-web" if value == "tcp" else "web"


def _values(change: Change, chart: str) -> dict[str, Any]:
    """{} where the chart is not known, or has no value for this."""
    port, arguments = _port_name(change), _arguments(change)
    stack = chart == "kube-prometheus-stack" and change.target.name.endswith("-prometheus")
    if stack and port:
        return {"prometheus": {"prometheusSpec": {"portName": port}}}
    if arguments and chart == "prom-label-proxy":
        extra = [word for word in arguments[2] if not word.startswith(_OF_THE_CHART)]
        return {"config": {"extraArgs": extra}}
    if arguments and chart == "oauth2-proxy":
        new = [word for word in arguments[2] if word not in arguments[1] and word.startswith("--") and "=" in word]
        return {"extraArgs": dict(word[2:].split("=", 1) for word in new)} if new else {}
    return {}


def _resource(owner: Owner, change: Change) -> dict[str, Any]:
    port, arguments = _port_name(change), _arguments(change)
    head = {
        "apiVersion": _OPERATORS[owner.tool],
        "kind": owner.tool,
        "metadata": {"namespace": change.target.namespace, "name": owner.name},
    }
    if owner.tool == "Prometheus" and port:
        return {**head, "spec": {"portName": port}}
    if not arguments:
        return {}
    containers = [{"name": arguments[0], "args": arguments[2]}]
    if owner.tool == "Prometheus":
        return {**head, "spec": {"containers": containers}}
    return {**head, "spec": {"deployment": {"spec": {"template": {"spec": {"containers": containers}}}}}}


def _kustomize(change: Change) -> dict[str, Any]:
    """https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/patches/, a JSON patch in text.

    Its tests are those that pin the paths; the uid belongs to the live object alone.
    """
    target = change.target
    group, _slash, version = target.api_version.rpartition("/")
    selected = {"group": group, "version": version, "kind": target.kind, "name": target.name}
    pinned = [operation for operation in anchors(change) if operation["path"] != "/metadata/uid"]
    writes = [operation for operation in change.patch if operation["op"] != "test"]
    return {
        "patches": [
            {
                "target": {key: value for key, value in selected.items() if value},
                "patch": json.dumps([*pinned, *writes], indent=1),
            }
        ]
    }
