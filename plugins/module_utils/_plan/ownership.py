# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else manages an object and takes a change of the live object back, up to the root.

Signs and sources:
- Helm: https://helm.sh/docs/chart_best_practices/labels/
- Argo CD: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
- Flux: https://fluxcd.io/flux/components/kustomize/kustomizations/
- OLM: https://olm.operatorframework.io/
- Fleet: github.com/rancher/fleet internal/helmdeployer/postrender.go, which puts the label `…/hash` and the annotation
  `…/id` on whatever Helm renders, without an owner. The same label with an owner (annotations `…/owner-gvk`, `-name`,
  `-namespace`) is another tool's: internal/cmd/agent/deployer/desiredset/desiredset_apply.go names all of them.
- kapp: github.com/carvel-dev/kapp pkg/kapp/app/recorded_app.go (label), pkg/kapp/cmd/app/ (`kapp-server-side-apply`).
- what an operator makes: https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
The field managers are the most general sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object, Snapshot

ARGO_CD, HELM, OLM = "Argo CD application", "Helm release", "OLM"
FLUX_KUSTOMIZATION, FLUX_HELM_RELEASE = "Flux Kustomization", "Flux HelmRelease"
FLEET, KAPP = "Fleet", "kapp app"
# What is said of a tool of which only its field manager shows.
_MANAGERS = {
    "argocd-controller": ARGO_CD,
    "kustomize-controller": FLUX_KUSTOMIZATION,
    "helm-controller": FLUX_HELM_RELEASE,
    "helm": HELM,
    "kapp": KAPP,
    "kapp-server-side-apply": KAPP,
    "fleetagent": FLEET,
    "PrometheusOperator": "prometheus-operator",
}
_OBJECT_SET = "objectset.rio.cattle.io"
# How many owner references are followed above one object; each is one request, and one more where its kind is not
# in our table.
HIGHEST = 4


class Owner(NamedTuple):
    """tool: one of the above, or the kind of an owner reference. name: `namespace/name` or what the sign gives."""

    tool: str
    name: str

    def __str__(self) -> str:
        return f"{self.tool} {self.name}".strip()


class Ownership(NamedTuple):
    """owners   outermost first; () where nothing shows
    maker    the one of them that makes the object out of another one, by its owner reference; None where nothing does
    levels   the object, and above it one after the other those whose owner references lead up, as far as they are read
    unknown  why there may be more owners above, as a sentence without a full stop; "" where the root was reached
    """

    owners: tuple[Owner, ...]
    maker: Owner | None = None
    levels: tuple[Object, ...] = ()
    unknown: str = ""

    def __str__(self) -> str:
        return " in ".join(map(str, reversed(self.owners)))


def of(obj: Object, snapshot: Snapshot) -> Ownership:
    """What manages an object. Raises NotReadError for the owners above that are not read yet."""
    levels, makers, unknown = [obj], [], ""
    while (reference := _reference(levels[-1])) and not unknown:
        makers.append(Owner(objects.text(reference.get("kind")), objects.text(reference.get("name"))))
        if len(makers) > HIGHEST:
            unknown = f"{makers[-1]} is the {len(makers)}th above it, and {HIGHEST} are asked"
        elif reference.get("uid") in [objects.metadata(level).get("uid") for level in levels]:
            unknown = f"{makers[-1]} is owned by what it owns"
        else:
            found = _read(snapshot, reference, objects.namespace(obj))
            if isinstance(found, str):
                unknown = found
            else:
                levels.append(found)
    signs = [[*_by_labels(level), *_other_references(level)] for level in levels]
    if not signs[-1] and len(makers) < len(levels):
        # An operator's field manager says nothing that an owner reference does not say better.
        signs[-1] = list(_by_managers(levels[-1]))
    owners = [owner for index in reversed(range(len(levels))) for owner in (*signs[index], *makers[index : index + 1])]
    return Ownership(tuple(dict.fromkeys(owners)), makers[0] if makers else None, tuple(levels), unknown)


def _references(obj: Object) -> list[Object]:
    """Its owner references, that of its controller first."""
    found = list(map(objects.mapping, objects.sequence(objects.metadata(obj).get("ownerReferences"))))
    return sorted(found, key=lambda reference: not reference.get("controller"))


def _reference(obj: Object) -> Object:
    """The owner reference that leads up; {} at the root."""
    return next(iter(_references(obj)), {})


def _other_references(obj: Object) -> Iterator[Owner]:
    for reference in _references(obj)[1:]:
        yield Owner(objects.text(reference.get("kind")), objects.text(reference.get("name")))


def _read(snapshot: Snapshot, reference: Object, namespace: str) -> Object | str:
    """The owner, or why it is not known."""
    kind, name = objects.text(reference.get("kind")), objects.text(reference.get("name"))
    need = Need("owner", kind, namespace, name, command=(objects.text(reference.get("apiVersion")),))
    answer = snapshot.ask(need)
    if answer.problem:
        return f"{kind} {name} cannot be read: {answer.problem}"
    if not answer.served:
        return f"{kind} {name} cannot be read: the API server does not serve this kind"
    if not answer.objects:
        return f"{kind} {name} does not exist"
    if objects.metadata(answer.objects[0]).get("uid") != reference.get("uid"):
        return f"the {kind} {name} that is there now is another one"
    return answer.objects[0]


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
    # Before Helm, by whose means Fleet deploys.
    if labels.get(f"{_OBJECT_SET}/hash"):
        yield _of_object_set({key: objects.text(value) for key, value in annotations.items()})
    release = objects.text(annotations.get("meta.helm.sh/release-name"))
    if release:
        yield Owner(HELM, f"{objects.text(annotations.get('meta.helm.sh/release-namespace'))}/{release}")
    if labels.get("olm.owner"):
        yield Owner(OLM, f"{labels.get('olm.owner.kind', '')} {labels['olm.owner']}")
    if labels.get("kapp.k14s.io/app"):
        yield Owner(KAPP, labels["kapp.k14s.io/app"])


def _of_object_set(annotations: dict[str, str]) -> Owner:
    kind = annotations.get(f"{_OBJECT_SET}/owner-gvk", "").rpartition("Kind=")[2]
    place = [annotations.get(f"{_OBJECT_SET}/owner-{part}", "") for part in ("namespace", "name")]
    return (
        Owner(kind, "/".join(filter(None, place))) if kind else Owner(FLEET, annotations.get(f"{_OBJECT_SET}/id", ""))
    )


def _by_managers(obj: Object) -> Iterator[Owner]:
    for manager in dict.fromkeys(objects.text(entry.get("manager")) for entry in objects.writers(obj)):
        if manager in _MANAGERS:
            yield Owner(_MANAGERS[manager], f"(field manager {manager})")
