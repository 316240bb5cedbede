# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else manages an object and may take a change back.

Signs and sources: https://helm.sh/docs/chart_best_practices/labels/, https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/,
https://fluxcd.io/flux/components/kustomize/kustomizations/, https://olm.operatorframework.io/.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Object


def owners(obj: Object) -> tuple[str, ...]:
    """What manages an object, outermost tool first, as `Helm release monitoring/prometheus`; () where nothing shows."""
    meta = objects.metadata(obj)
    labels, annotations = objects.labels(obj), objects.mapping(meta.get("annotations"))
    found = []
    tracking = objects.text(annotations.get("argocd.argoproj.io/tracking-id"))
    if tracking:
        found.append(f"Argo CD application {tracking.partition(':')[0]}")
    for tool in ("kustomize", "helm"):
        name = labels.get(f"{tool}.toolkit.fluxcd.io/name")
        if name:
            found.append(f"Flux {tool} {labels.get(f'{tool}.toolkit.fluxcd.io/namespace', '')}/{name}")
    release = objects.text(annotations.get("meta.helm.sh/release-name"))
    if release:
        found.append(f"Helm release {objects.text(annotations.get('meta.helm.sh/release-namespace'))}/{release}")
    if labels.get("olm.owner"):
        found.append(f"OLM {labels.get('olm.owner.kind', '')} {labels['olm.owner']}")
    for reference in map(objects.mapping, objects.sequence(meta.get("ownerReferences"))):
        found.append(f"{objects.text(reference.get('kind'))} {objects.text(reference.get('name'))}")
    return tuple(found)
