# SPDX-License-Identifier: GPL-3.0-or-later
"""Without a cluster: a saved snapshot and a folder of manifests give the verdict that the cluster gave."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import envoys
import pytest
import yaml
from world import NS, PROMETHEUS_HOST, QUESTION, World, istio, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import Diagnosis, diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import saved
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader, collect
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.manifests import ManifestReader
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.overlay import Assumptions, OverlaidReader
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict

SERVER = "prometheus-abc-1"
ISTIO_KINDS = (
    "peerauthentications destinationrules virtualservices sidecars serviceentries authorizationpolicies "
    "requestauthentications envoyfilters"
)


class WorldReader:
    """The world in the place of a cluster."""

    def __init__(self, world: World) -> None:
        self.read = world.answer


def ask(reader: Any, **changes: Any) -> Diagnosis:
    asked = QUESTION._replace(**changes)
    return collect(reader, lambda snapshot: diagnose(asked, snapshot))[0]


def stances(diagnosis: Diagnosis) -> dict[str, str]:
    return {witness.name: witness.stance for witness in diagnosis.judgement.verdict.witnesses}


def folder(path: Path, world: World) -> ManifestReader:
    """The world as `kubectl get -o yaml` writes it: a file per kind, empty lists included."""
    for plural in ISTIO_KINDS.split():
        (path / f"{plural}.yaml").write_text("apiVersion: v1\nitems: []\nkind: List\n")
    mesh = obj("ConfigMap", "istio", {}, namespace="istio-system")
    documents = [*world.objects, {**mesh, "data": {"mesh": yaml.safe_dump(world.mesh)}}]
    (path / "everything.yaml").write_text(yaml.safe_dump_all(documents))
    return ManifestReader(str(path))


def test_a_saved_snapshot_gives_the_identical_result(tmp_path: Path) -> None:
    world = World()
    world.logs = {"prom-label-proxy-abc-1": "\n".join(["2026-11-24T10:00:00Z info x"] * 3000)}
    world.envoys = {pod: envoys.plain(raw) for pod, raw in dumped(World()).items()}
    asked = QUESTION._replace(thorough=True)
    live, snapshot = collect(WorldReader(world), lambda known: diagnose(asked, known))
    assert stances(live)["envoy"] == "agrees"
    path = tmp_path / "snapshot.json"
    saved.save(str(path), QUESTION, snapshot)
    assert path.stat().st_mode & 0o077 == 0
    assert to_dict(ask(saved.load(str(path)), thorough=True)) == to_dict(live)


def test_what_a_snapshot_lacks_is_unknown() -> None:
    world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    answers = {key: answer for key, answer in world.snapshot().answers().items() if "VirtualService" not in key}
    verdict = ask(saved.SavedReader(answers)).judgement.verdict
    assert (verdict.status, verdict.code) == ("inconclusive", "QP902")


def test_secrets_do_not_reach_the_file(tmp_path: Path) -> None:
    world = World().proxy_args(lambda args: [*args, "--header=Authorization: Bearer canary-canary-canary"])
    world.get("Pod", "grafana-abc-1")["spec"]["containers"][0]["env"] = [
        {"name": "PASSWORD", "value": "glsa_canarycanary"}
    ]
    path = tmp_path / "snapshot.json"
    saved.save(str(path), QUESTION, world.snapshot())
    assert "canary" not in path.read_text()


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("{", "not JSON"),
        ("{}", "save_snapshot"),
        ('{"format": "meshops.istio_remediation/snapshot", "version": 9}', "version 9"),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused_in_a_sentence(tmp_path: Path, text: str, fragment: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=fragment):
        saved.load(str(path))


def test_a_folder_of_manifests_is_judged_like_the_cluster(tmp_path: Path) -> None:
    verdict = ask(folder(tmp_path, World())).judgement.verdict
    assert (verdict.status, verdict.code, verdict.certainty) == ("broken", "QP101", "predicted")


def test_a_kind_that_was_not_exported_is_unknown_and_says_how_to_export_it(tmp_path: Path) -> None:
    reader = folder(tmp_path, World().port("prometheus", appProtocol="tcp"))
    assert ask(reader).judgement.verdict.status == "healthy"
    (tmp_path / "destinationrules.yaml").unlink()
    judgement = ask(ManifestReader(str(tmp_path))).judgement
    assert judgement.verdict.status == "inconclusive"
    assert "kubectl get destinationrules -A -o yaml" in " ".join(judgement.findings[0].evidence)


def test_logs_of_a_must_gather_are_heard(tmp_path: Path) -> None:
    line = {"start_time": "2026-11-24T10:51:57.113Z", "response_code": 503, "response_flags": "UC"}
    line |= {"response_code_details": "x", "route_name": "allow_any", "upstream_cluster": "PassthroughCluster"}
    line |= {"downstream_local_address": "10.96.0.4:9090"}
    logs = (
        tmp_path
        / "quay-io"
        / "namespaces"
        / NS
        / "pods"
        / "prom-label-proxy-abc-1"
        / "istio-proxy"
        / "istio-proxy"
        / "logs"
    )
    logs.mkdir(parents=True)
    (logs / "current.log").write_text(json.dumps(line))
    assert stances(ask(folder(tmp_path, World())))["logs"] == "agrees"


def dumped(world: World) -> dict[str, Any]:
    """Both Envoys' own JSON about the last hop, by pod."""
    hop = world.diagnose().path.hops[-1]
    return {hop.step.client.pods[0].name: envoys.client(hop), SERVER: envoys.server(hop, SERVER)}


@pytest.mark.parametrize("layout", ["config_dumps/{ns}/{pod}.json", "x/proxies/{ns}/{pod}/config_dump?include_eds"])
def test_saved_config_dumps_are_heard(tmp_path: Path, layout: str) -> None:
    for pod, raw in dumped(World()).items():
        path = tmp_path / layout.format(ns=NS, pod=pod)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(raw))
    found = ask(folder(tmp_path, World()))
    assert (found.judgement.verdict.code, stances(found)["envoy"]) == ("QP101", "agrees")


def test_a_config_dump_that_is_none_is_a_silent_witness(tmp_path: Path) -> None:
    for text, why in (("no JSON", "is no JSON"), ("[]", "is no JSON object")):
        path = tmp_path / "config_dumps" / NS / "prom-label-proxy-abc-1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        found = ask(folder(tmp_path, World())).judgement.verdict
        assert found.certainty == "predicted"
        assert why in found.witnesses[1].says
        assert "config_dumps/monitoring/prom-label-proxy-abc-1.json" in found.witnesses[1].says


def test_an_empty_folder_and_broken_yaml_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no Kubernetes object"):
        ManifestReader(str(tmp_path))
    (tmp_path / "x.yaml").write_text("a: [")
    with pytest.raises(InputError, match="no YAML"):
        ManifestReader(str(tmp_path))


def assume(world: World, **assumptions: Any) -> str:
    reader: Reader = OverlaidReader(WorldReader(world), Assumptions(**assumptions), "istio-system")
    verdict = ask(reader, read_logs=False).judgement.verdict
    return f"{verdict.status} {verdict.code}".strip()


def test_what_if_the_mesh_goes_strict_tonight() -> None:
    assert assume(World().peer_authentication("PERMISSIVE"), peer_authentication="STRICT") == "broken QP101"
    assert assume(World(), peer_authentication="PERMISSIVE") == "at_risk QP101"


def test_what_if_the_outbound_policy_changes() -> None:
    assert assume(World(), mesh={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}) == "broken QP102"


def test_what_if_a_manifest_is_applied() -> None:
    port = {"name": "http-web", "port": 9090, "targetPort": 9090, "appProtocol": "tcp"}
    proposed = obj("Service", "prometheus", {"ports": [port]})
    before = World()
    untouched = copy.deepcopy(before.objects)
    assert assume(before, manifests=[proposed]) == "healthy"
    assert before.objects == untouched
    disable = istio("DestinationRule", "x", {"host": "prometheus", "trafficPolicy": {"tls": {"mode": "DISABLE"}}})
    assert assume(World(), manifests=[proposed, disable]) == "broken QP201"


@pytest.mark.parametrize("manifest", [{"kind": "Service"}, {"kind": "Service", "metadata": {"name": "x"}}, {}])
def test_a_manifest_that_is_no_object_is_refused_in_a_sentence(manifest: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="with_manifests"):
        OverlaidReader(WorldReader(World()), Assumptions(manifests=[manifest]), "istio-system")


def test_a_folder_has_data_sources_in_secrets_and_in_custom_resources(tmp_path: Path) -> None:
    source = {"name": "x", "type": "prometheus", "url": QUESTION.datasource_url, "secureJsonData": {"k": "canary"}}
    text = yaml.safe_dump({"datasources": [{**source, "uid": "in-secret"}]})
    data = {"a.yaml": base64.b64encode(text.encode()).decode()}
    spec = {"instanceSelector": {}, "datasource": {**source, "uid": "in-resource"}}
    world = World().add(
        {**obj("Secret", "sources", {}, labels={"grafana_datasource": ""}), "data": data},
        obj("GrafanaDatasource", "x", spec, "grafana.integreatly.org/v1beta1"),
    )
    reader = folder(tmp_path, world)
    found = reader.read(Need("list", "SecretDataSource", NS, selector="grafana_datasource"))
    assert [(entry["uid"], entry["source"]) for entry in found.objects] == [("in-secret", f"Secret/{NS}/sources")]
    assert reader.read(Need("list", "SecretDataSource", NS, "another")).objects == ()
    custom = reader.read(Need("list", "GrafanaDatasource", NS))
    assert "canary" not in f"{found}{custom}"
    asked = ask(reader, datasource_url="", datasource_uid="in-resource")
    assert asked.path.datasource.source == f"GrafanaDatasource/{NS}/x"
