# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of an object, as a change of what its owner makes it from: values of a chart, a custom resource, a patch.

Charts whose values are known, as their templates read them:
- kube-prometheus-stack: `prometheus.prometheusSpec.portName` names the port of Service and custom resource
  (templates/prometheus/service.yaml, prometheus.yaml); neither has a value for the port's appProtocol.
  `prometheus.prometheusSpec.containers` becomes the custom resource's spec.containers as it is.
- prom-label-proxy: `config.extraArgs`, a list, behind three arguments of the chart's own, and a fourth with
  `metrics.enabled`, by which the container gets a port `http-metrics` (templates/deployment.yaml).
  Both: github.com/prometheus-community/helm-charts, charts/<name>.
- oauth2-proxy: `extraArgs`, a mapping from flag to value or a list of arguments
  (github.com/oauth2-proxy/manifests, helm/oauth2-proxy/templates/deployment.yaml).

Custom resources:
- Prometheus: https://prometheus-operator.dev/docs/api-reference/api/ (spec.containers, which is merged by name into
  what the operator makes; spec.portName).
- Grafana: spec.deployment is merged into the operator's Deployment, its containers by name, an argument list as a whole
  (github.com/grafana/grafana-operator, api/v1beta1/typeoverrides.go: DeploymentV1PodSpec;
  controllers/reconcilers/grafana/deployment_reconciler.go: v1beta1.Merge(deployment, cr.Spec.Deployment)).
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan import ownership as ownerships
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.change import Change, anchors
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.ownership import Owner, Ownership

VALUES, RESOURCE, KUSTOMIZE, BY_HAND = "values", "resource", "kustomize", "by_hand"
_ARGUMENTS = re.compile(r"spec\.template\.spec\.containers\[(.+)\]\.args")
_PROTOCOL = re.compile(r"spec\.ports\[\d+\]\.appProtocol")
_CHART = re.compile(r"(.+?)-v?\d+\.")
_STACK = "kube-prometheus-stack"
# What the chart prom-label-proxy writes itself; the last one where its metrics are on.
_OF_THE_CHART = ("--insecure-listen-address=", "--upstream=", "--label=", "--internal-listen-address=")
_METRICS_PORT = "http-metrics"
_OPERATORS = {"Prometheus": "monitoring.coreos.com/v1", "Grafana": "grafana.integreatly.org/v1beta1"}
_OTHER_USERS = " ServiceMonitors and Services that use the port by its name need the new one too."
_BY_NAME = " Containers go by name there: keep what else the entry has."

# Form, how and content of an AtOwner.
_Instead = tuple[str, str, dict[str, Any]]


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


def instead_of(change: Change, ownership: Ownership) -> AtOwner:
    """What to do in the place of a change. ownership: of the object as it is now, with at least one owner."""
    maker = ownership.maker
    form, how, content = _made(change, ownership, maker) if maker else _declared(change, ownership)
    if ownership.unknown:
        how += f" What owns that in turn is not known: {ownership.unknown}."
    return AtOwner(str(ownership), str(change.target), form, how, content)


def _made(change: Change, ownership: Ownership, maker: Owner) -> _Instead:
    """Where an operator makes the object out of another one: there, or where that comes from."""
    outermost = ownership.owners[0]
    content = _resource(maker, change) if maker.tool in _OPERATORS else {}
    if not content:
        return _by_hand(maker)
    more = _OTHER_USERS if _port_name(change) else _BY_NAME
    chart = _chart(ownership.levels[1]) if len(ownership.levels) > 1 else ""
    if maker.tool == "Prometheus" and chart == _STACK:
        # The chart's custom resource has the fields of the operator's own.
        return _as_values({"prometheus": {"prometheusSpec": content["spec"]}}, chart, ownership, more)
    where = "where that is declared" if outermost == maker else f"where {outermost} gets it"
    return RESOURCE, f"Merge this into {maker.tool} {change.target.namespace}/{maker.name}, {where}.{more}", content


def _declared(change: Change, ownership: Ownership) -> _Instead:
    """Where the object stands somewhere as it is, or as a template."""
    obj, outermost = ownership.levels[0], ownership.owners[0]
    if any(owner.tool == ownerships.OLM for owner in ownership.owners):
        return _by_hand(ownership.owners[-1])
    values, more = _values(change, obj)
    if values:
        return _as_values(values, _chart(obj), ownership, more)
    where = f"as a post-renderer of {outermost}" if outermost.tool == ownerships.HELM else f"where {outermost} gets it"
    return KUSTOMIZE, f"Add this to the kustomization.yaml, {where}.", _kustomize(change)


def _as_values(values: dict[str, Any], chart: str, ownership: Ownership, more: str) -> _Instead:
    release = next((owner for owner in ownership.owners if owner.tool == ownerships.FLUX_HELM_RELEASE), None)
    if release:
        return RESOURCE, f"Merge this into {release}, in its Git source.{more}", {"spec": {"values": values}}
    return VALUES, f"Add this to the values of chart {chart} for {ownership.owners[0]}.{more}", values


def _by_hand(owner: Owner) -> _Instead:
    return BY_HAND, f"Where {owner} takes this from is not known here; see the documentation of that operator.", {}


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


def _values(change: Change, obj: Object) -> tuple[dict[str, Any], str]:
    """Values and what to say besides; {} where the object's chart is not known, or has no value for this."""
    chart, port, arguments = _chart(obj), _port_name(change), _arguments(change)
    if chart == _STACK and port and change.target.name.endswith("-prometheus"):
        return {"prometheus": {"prometheusSpec": {"portName": port}}}, _OTHER_USERS
    if arguments and chart == "prom-label-proxy":
        return {"config": {"extraArgs": _extra(obj, *arguments)}}, ""
    if arguments and chart == "oauth2-proxy":
        new = [word for word in arguments[2] if word not in arguments[1] and word.startswith("--") and "=" in word]
        as_list = f" Where extraArgs is a list already, append {' '.join(new)} to it."
        return ({"extraArgs": dict(word[2:].split("=", 1) for word in new)}, as_list) if new else ({}, "")
    return {}, ""


def _extra(obj: Object, container: str, before: list[str], after: list[str]) -> list[str]:
    """The arguments that prom-label-proxy's chart takes from its values: all behind its own, which come first."""
    template = objects.mapping(objects.mapping(objects.spec(obj).get("template")).get("spec"))
    containers = map(objects.mapping, objects.sequence(template.get("containers")))
    entry = next((entry for entry in containers if entry.get("name") == container), {})
    ports = [objects.mapping(port).get("name") for port in objects.sequence(entry.get("ports"))]
    own = _OF_THE_CHART if _METRICS_PORT in ports else _OF_THE_CHART[:-1]
    written = [word for word in before[: len(own)] if word.startswith(own)]
    return [word for word in after if word not in written]


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
