# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection says about a policy, beside what callers really got. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from catalogue.witness import RIGHT_HOST
from meshlab.api import Manifest
from stage.place import NAMESPACE

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    admission,
    authorization,
    extension_provider,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.admission import Request
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.extension_provider import Provider
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from policies.generator import PROVIDER

ANONYMOUS = "nobody"
PORT = 9090
# A caller's Host has the port, if its client says so: curl does on a port that is not HTTP's own.
HOST = f"{RIGHT_HOST}:{PORT}"
KNOWN = {
    PROVIDER: Provider(extension_provider.HTTP),
    "missing": Provider("", denies="which the mesh does not have"),
}


class Measured(NamedTuple):
    """Whom a policy let in, by caller: on an HTTP port, and on the same port as TCP."""

    policy: Manifest
    http: Mapping[str, bool]
    tcp: Mapping[str, bool]


class Told(NamedTuple):
    """wrong: sentences. decided, open: predictions for one caller on HTTP or TCP that say something, or unknown."""

    wrong: list[str]
    decided: int
    open: int


def judge(measured: Measured, server: Workload) -> Told:
    """Compare the prediction for each caller, and the effects that are named before a port becomes TCP."""
    wrong, decided, undecided = [], 0, 0
    for protocol, seen in (("HTTP", measured.http), ("TCP", measured.tcp)):
        for caller, admitted in seen.items():
            predicted = admits(caller, measured.policy, server, protocol == "TCP")
            if predicted is None:
                undecided += 1
                continue
            decided += 1
            if predicted != admitted:
                wrong.append(f"{caller} on {protocol}: predicted {said(predicted)}, was {said(admitted)}")
    effects = {effect.effect for effect in authorization.on_tcp(server, [measured.policy], KNOWN)}
    wrong += [f"the effects are {sorted(effects)}, yet {text}" for text in untrue(effects, measured)]
    return Told(wrong, decided, undecided)


def untrue(effects: Collection[str], measured: Measured) -> list[str]:
    """What the named effects do not tell of what happened when the port became TCP."""
    lost = [caller for caller, admitted in measured.http.items() if admitted and not measured.tcp[caller]]
    gained = [caller for caller, admitted in measured.http.items() if not admitted and measured.tcp[caller]]
    found = []
    if lost and not set(effects) & {authorization.DENIES_ALL, authorization.DENIES_MORE}:
        found.append(f"{', '.join(lost)} lost access")
    if gained and authorization.BYPASSED not in effects:
        found.append(f"{', '.join(gained)} gained access")
    if authorization.DENIES_ALL in effects and any(measured.tcp.values()):
        found.append("somebody is let in")
    return found


def admits(caller: str, policy: Manifest, server: Workload, tcp: bool) -> bool | None:
    """Whether a policy lets a caller in; None: the collection says that it cannot be told."""
    if not any(authorization.selects(policy, pod) for pod in server.pods):
        return True
    known = caller != ANONYMOUS
    request = Request(
        principals=(f"cluster.local/ns/{NAMESPACE}/sa/{caller}",) if known else (),
        namespace=NAMESPACE if known else "",
        service_account=caller if known else "",
        host=HOST,
        port=PORT,
        method="GET",
        path="/api/v1/query",
        tcp=tcp,
    )
    effect = admission.effect([request], [policy], KNOWN)
    if effect is not None and effect.effect == admission.UNTOLD:
        return None
    return effect is None


def said(admitted: bool) -> str:
    return "let in" if admitted else "denied"
