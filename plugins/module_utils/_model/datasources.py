# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Grafana's data sources are defined, and the one that is asked about.

Places are looked through from the nearest to the farthest: provisioning ConfigMaps, Secrets where that is allowed,
GrafanaDatasources of grafana-operator, Grafana's own API. A place that is not needed is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import grafana_operator, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import DataSource
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object, Snapshot

PROMETHEUS = "prometheus"
PROVISIONING = "provisioning/datasources"
# Grafana's Helm chart and its sidecar load every ConfigMap and Secret with this label, whatever its value.
LABEL = "grafana_datasource"
# Kinds of Need: what ConfigMaps and Secrets provision, reduced to what is judged.
IN_CONFIG_MAPS, IN_SECRETS = "DataSource", "SecretDataSource"
GRAFANA = "Grafana's API"
_ASK_GRAFANA = ", or grafana_token so that Grafana itself can be asked"


class Place(NamedTuple):
    """One place that was looked through, as far as it could be read.

    what     for people, e.g. `the provisioning ConfigMaps of namespace monitoring`; "" where Grafana has no such place
    problem  why it may hold more than was seen; "" where it was read as a whole
    note     what else there is to know where nothing was found
    unusable why a source in it cannot be followed, by uid
    """

    what: str
    sources: tuple[DataSource, ...]
    problem: str = ""
    note: str = ""
    unusable: tuple[tuple[str, str], ...] = ()


def find(question: Question, snapshot: Snapshot, workload: Workload) -> DataSource:
    """The data source asked about. Raises NotReadError, InputError."""
    if question.datasource_url:
        return DataSource(question.datasource_uid, "", question.datasource_url, "", "given")
    looked: list[Place] = []
    found: list[DataSource] = []
    for look, beside in _places(question, snapshot, workload):
        if found and (question.datasource_uid or not beside):
            continue
        place = look()
        looked.append(place)
        found += [source for source in place.sources if question.datasource_uid in ("", source.handle)]
    if not found:
        raise InputError(_nowhere(question, looked))
    if not question.datasource_uid:
        _only(found, looked)
    unusable = next((why for place in looked for uid, why in place.unusable if uid == found[0].uid), "")
    if unusable:
        raise InputError(f"Data source {found[0].handle} was found, but {unusable}. Give datasource_url.")
    return found[0]


def every(question: Question, snapshot: Snapshot, workload: Workload) -> tuple[tuple[DataSource, ...], tuple[str, ...]]:
    """All Prometheus data sources of all places, and why there may be more. Raises NotReadError, InputError."""
    looked = [look() for look, _beside in _places(question, snapshot, workload)]
    found: list[DataSource] = []
    for source in (source for place in looked for source in place.sources):
        # Grafana's API lists what is provisioned once more, with a uid of its own where the file gives none.
        if not any(source.handle == known.handle or source.name == known.name for known in found):
            found.append(source)
    if not found:
        raise InputError(_nowhere(question, looked))
    return tuple(found), tuple(place.problem for place in looked if place.problem)


def _only(found: list[DataSource], looked: list[Place]) -> None:
    """Whether there is no other. Raises InputError."""
    if len(found) > 1:
        listed = ", ".join(f"{source.handle} ({source.name})" for source in found)
        where = " and ".join(place.what for place in looked if place.sources)
        raise InputError(
            f"{len(found)} Prometheus data sources are in {where}: {listed}. Choose one with datasource_uid."
        )
    problems = "; ".join(place.problem for place in looked if place.problem)
    if problems and found[0].source != GRAFANA:
        raise InputError(
            f"Data source {found[0].handle} was found, but whether it is the only one cannot be told: {problems}. "
            "Choose one with datasource_uid."
        )


def _nowhere(question: Question, looked: list[Place]) -> str:
    wanted = f"with uid {question.datasource_uid!r}" if question.datasource_uid else "of type prometheus"
    said = ((place.what, place.problem or place.note) for place in looked if place.what)
    places = ", nor in ".join(f"{what} ({why})" if why else what for what, why in said)
    hint = "" if question.ask_grafana else _ASK_GRAFANA
    return f"No data source {wanted} is in {places}. Give datasource_url{hint}."


def _places(question: Question, snapshot: Snapshot, workload: Workload) -> list[tuple[Callable[[], Place], bool]]:
    """Each place, and whether it is looked through although one before it holds a data source."""
    owner = grafana_operator.owner(question, snapshot)
    places: list[tuple[Callable[[], Place], bool]] = [
        (lambda: _config_maps(question, snapshot, workload), True),
        (lambda: _secrets(question, snapshot, workload), True),
        (lambda: _custom_resources(question, snapshot, owner), bool(owner)),
    ]
    if question.ask_grafana:
        places.append((lambda: _api(question, snapshot), False))
    return places


def _config_maps(question: Question, snapshot: Snapshot, workload: Workload) -> Place:
    where = question.grafana_namespace
    names = ",".join(_mounted(workload, "configMap", "name"))
    answer = snapshot.ask(Need("list", IN_CONFIG_MAPS, where, names, LABEL))
    sources = _prometheus(answer.objects)
    return Place(f"the provisioning ConfigMaps of namespace {where}", sources, answer.problem)


def _secrets(question: Question, snapshot: Snapshot, workload: Workload) -> Place:
    """Listed by label only where a sidecar of Grafana loads them: RBAC cannot narrow a list."""
    names = _mounted(workload, "secret", "secretName")
    loaded = _sidecar_loads_secrets(workload)
    if not question.read_secrets:
        unread = (
            f"Secret {', '.join(names)} provisions data sources too and is read only with read_secrets" if names else ""
        )
        note = "" if names or not loaded else "not read, for read_secrets is false"
        return Place("Secrets" if names or loaded else "", (), unread, note)
    if not names and not loaded:
        return Place("", ())
    need = Need("list", IN_SECRETS, question.grafana_namespace, ",".join(names), LABEL if loaded else "")
    answer = snapshot.ask(need)
    return Place("the provisioning Secrets there", _prometheus(answer.objects), answer.problem)


def _custom_resources(question: Question, snapshot: Snapshot, owner: str) -> Place:
    what = "the GrafanaDatasources there"
    answer = snapshot.ask(Need("list", "GrafanaDatasource", question.grafana_namespace))
    if not answer.served:
        return Place(what, (), note="not installed")
    defined = [grafana_operator.definition(obj) for obj in answer.objects]
    chosen, problem = grafana_operator.chosen(question, snapshot, owner, answer.objects)
    defined = [entry for entry, taken in zip(defined, chosen, strict=True) if taken]
    problems = (answer.problem, problem if defined else "")
    unusable = [(objects.text(entry.get("uid")), objects.text(entry.get("problem"))) for entry in defined]
    return Place(
        what,
        _prometheus(defined),
        "; ".join(filter(None, problems)),
        unusable=tuple(entry for entry in unusable if entry[1]),
    )


def _api(question: Question, snapshot: Snapshot) -> Place:
    answer = snapshot.ask(Need("grafana", "", question.grafana_namespace, "/api/datasources"))
    if answer.problem:
        raise InputError(f"Grafana does not list its data sources: {answer.problem}.")
    return Place("Grafana", _prometheus(answer.objects))


def _prometheus(entries: list[Object] | tuple[Object, ...]) -> tuple[DataSource, ...]:
    return tuple(_datasource(entry) for entry in entries if objects.text(entry.get("type")) == PROMETHEUS)


def _datasource(entry: Object) -> DataSource:
    settings = objects.mapping(entry.get("jsonData"))
    parameters = settings.get("customQueryParameters")
    return DataSource(
        uid=objects.text(entry.get("uid")),
        name=objects.text(entry.get("name")),
        url=objects.text(entry.get("url")),
        query_parameters=urlencode(parameters) if isinstance(parameters, dict) else objects.text(parameters),
        source=objects.text(entry.get("source")) or GRAFANA,
        headers=tuple(
            objects.text(value) for key, value in sorted(settings.items()) if key.startswith("httpHeaderName")
        ),
    )


def _mounted(workload: Workload, kind: str, field: str) -> list[str]:
    """Names of the ConfigMaps or Secrets that Grafana's pods mount where Grafana looks for provisioned data sources."""
    body = objects.spec(workload.pods[0].object)
    mounted = {
        objects.text(mount.get("name"))
        for container in map(objects.mapping, objects.sequence(body.get("containers")))
        for mount in map(objects.mapping, objects.sequence(container.get("volumeMounts")))
        if PROVISIONING in objects.text(mount.get("mountPath"))
    }
    names = {
        objects.text(objects.mapping(volume.get(kind)).get(field))
        for volume in map(objects.mapping, objects.sequence(body.get("volumes")))
        if objects.text(volume.get("name")) in mounted
    }
    return sorted(name for name in names if name)


def _sidecar_loads_secrets(workload: Workload) -> bool:
    """Whether a kiwigrid/k8s-sidecar puts labelled Secrets where Grafana looks for data sources.

    RESOURCE is `configmap` unless set; charts set `both`: https://github.com/kiwigrid/k8s-sidecar#configuration-environment-variables
    """
    body = objects.spec(workload.pods[0].object)
    return any(
        PROVISIONING in env.get("FOLDER", "") and env.get("RESOURCE", "configmap") in ("secret", "both")
        for key in ("containers", "initContainers")
        for container in map(objects.mapping, objects.sequence(body.get(key)))
        for env in [
            {
                objects.text(one.get("name")): objects.text(one.get("value"))
                for one in map(objects.mapping, objects.sequence(container.get("env")))
            }
        ]
    )
