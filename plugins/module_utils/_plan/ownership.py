# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else manages an object and takes a change of the live object back.

Signs and sources: https://helm.sh/docs/chart_best_practices/labels/, https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/,
https://fluxcd.io/flux/components/kustomize/kustomizations/, https://olm.operatorframework.io/,
https://fleet.rancher.io/, https://carvel.dev/kapp/. The field managers are the most general sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object

ARGO_CD, HELM, OLM = "Argo CD application", "Helm release", "OLM"
FLUX_KUSTOMIZATION, FLUX_HELM_RELEASE = "Flux Kustomization", "Flux HelmRelease"
FLEET, KAPP = "Fleet", "kapp app"
# What is said of a tool of which only its field manager shows.
_MANAGERS = {
    "argocd-controller": ARGO_CD,
    "kustomize-controller": FLUX_KUSTOMIZATION,
    "helm-controller": FLUX_HELM_RELEASE,
    "helm": HELM,
    "kapp-server": KAPP,
    "fleetagent": FLEET,
    "PrometheusOperator": "prometheus-operator",
}


class Owner(NamedTuple):
    """tool: one of the above, or the kind of an owner reference. name: `namespace/name` or what the sign gives."""

    tool: str
    name: str

    def __str__(self) -> str:
        return f"{self.tool} {self.name}".strip()


def owners(obj: Object) -> tuple[Owner, ...]:
    """What manages an object, outermost tool first; () where nothing shows."""
    found = list(_by_labels(obj))
    for reference in map(objects.mapping, objects.sequence(objects.metadata(obj).get("ownerReferences"))):
        found.append(Owner(objects.text(reference.get("kind")), objects.text(reference.get("name"))))
    # An operator's field manager says nothing that an owner reference does not say better.
    return tuple(found or _by_managers(obj))


def _by_labels(obj: Object) -> Iterator[Owner]:
    labels, annotations = objects.labels(obj), objects.mapping(objects.metadata(obj).get("annotations"))
    tracking = objects.text(annotations.get("argocd.argoproj.io/tracking-id"))
    instance = tracking.partition(":")[0] or labels.get("argocd.argoproj.io/instance", "")
    if instance:
        yield Owner(ARGO_CD, instance)
    for prefix, tool in (("kustomize", FLUX_KUSTOMIZATION), ("helm", FLUX_HELM_RELEASE)):
        name = labels.get(f"{prefix}.toolkit.fluxcd.io/name")
        if name:
            yield Owner(tool, f"{labels.get(f'{prefix}.toolkit.fluxcd.io/namespace', '')}/{name}")
    release = objects.text(annotations.get("meta.helm.sh/release-name"))
    if release:
        yield Owner(HELM, f"{objects.text(annotations.get('meta.helm.sh/release-namespace'))}/{release}")
    if labels.get("olm.owner"):
        yield Owner(OLM, f"{labels.get('olm.owner.kind', '')} {labels['olm.owner']}")
    if labels.get("objectset.rio.cattle.io/hash"):
        yield Owner(FLEET, objects.text(annotations.get("objectset.rio.cattle.io/id")))
    if labels.get("kapp.k14s.io/app"):
        yield Owner(KAPP, labels["kapp.k14s.io/app"])


def _by_managers(obj: Object) -> Iterator[Owner]:
    for manager in dict.fromkeys(objects.text(entry.get("manager")) for entry in objects.writers(obj)):
        if manager in _MANAGERS:
            yield Owner(_MANAGERS[manager], f"(field manager {manager})")
