# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded secrets: wherever a cluster may hold one, none comes out of a module, a snapshot, a diff or a report."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import envoys
import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World

from ansible_collections.meshops.istio_remediation.plugins.filter.query_path_report import query_path_report
from ansible_collections.meshops.istio_remediation.plugins.modules import (
    query_path_info,
    query_path_remediation,
    query_path_remediation_info,
)
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer
from ansible_collections.meshops.istio_remediation.tests.unit._verdict.test_proxies import through
from ansible_collections.meshops.istio_remediation.tests.unit._verdict.test_testimony import (
    CLIENT,
    CLIENT_TEXT,
    LATE,
    SERVER,
)
from ansible_collections.meshops.istio_remediation.tests.unit.modules.runner import run_module
from ansible_collections.meshops.istio_remediation.tests.unit.modules.stage import load

UPSTREAM = f"http://{PROMETHEUS_HOST}:9090"
MANAGER = "http_connection_manager"
SEEDED = re.compile(r"s33d-[a-z0-9]+-\d+")


class Seeds:
    """Makes secrets that name the place where they stand, so that a leak says whence it came."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, place: str) -> str:
        self.made.append(f"s33d-{place}-{len(self.made)}")
        return self.made[-1]


def arguments(seed: Seeds) -> list[str]:
    """prom-label-proxy's own, and flags in every form in which a program takes a secret."""
    return [
        "--insecure-listen-address=0.0.0.0:8080",
        f"--upstream=http://user:{seed('upstream')}@{PROMETHEUS_HOST}:9090/?token={seed('query')}",
        "--label=namespace",
        f"--remote-token={seed('flag')}",
        "--api-key",
        seed("words"),
        f"--header=Authorization: Bearer {seed('header')}",
        f"--header=Authorization={seed('raw')}",
    ]


def nginx(seed: Seeds) -> str:
    return f"""server {{ listen 8080; location / {{
        proxy_pass {UPSTREAM}; proxy_http_version 1.1; proxy_set_header Host $host;
        proxy_set_header Authorization "Basic {seed("nginx")}";
        proxy_set_header Authorization {seed("nginxraw")};
        proxy_set_header X-Api-Key "{seed("nginxkey")}";
    }} }}"""


def haproxy(seed: Seeds) -> str:
    return f"""userlist u
  user jane insecure-password {seed("haproxy")}
listen x
  mode http
  bind :8080
  http-request set-header Authorization "{seed("haproxyraw")}"
  server p {PROMETHEUS_HOST}:9090
"""


def envoy(seed: Seeds) -> str:
    header = {"header": {"key": "Authorization", "value": seed("envoy")}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "p"}, "request_headers_to_add": [header]}
    hosts = {"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": [route]}]}
    manager = {
        "@type": f"type.googleapis.com/envoy.extensions.filters.network.{MANAGER}.v3.HttpConnectionManager",
        "route_config": hosts,
    }
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 8080}}
    filters = [{"name": f"envoy.filters.network.{MANAGER}", "typed_config": manager}]
    endpoint = {"address": {"socket_address": {"address": PROMETHEUS_HOST, "port_value": 9090}}}
    cluster = {"name": "p", "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}}
    listener = {"name": "l", "address": address, "filter_chains": [{"filters": filters}]}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})


def label_proxy(seed: Seeds) -> World:
    return World().proxy_args(lambda _args: arguments(seed))


WORLDS: dict[str, Callable[[Seeds], World]] = {
    "prom-label-proxy": label_proxy,
    "nginx": lambda seed: through("nginx:1.27.1", files={"/etc/nginx/conf.d/default.conf": nginx(seed)}),
    "haproxy": lambda seed: through("haproxy:3.0", files={"/usr/local/etc/haproxy/haproxy.cfg": haproxy(seed)}),
    "envoy": lambda seed: through(
        "envoyproxy/envoy:v1.31.0", ["-c", "/etc/envoy/envoy.yaml"], {"/etc/envoy/envoy.yaml": envoy(seed)}
    ),
}


def fill(server: ApiServer, world: World, seed: Seeds) -> None:
    """A cluster that holds a secret wherever one may stand on the path."""
    for stored in world.objects:
        annotations = stored["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = seed("applied")
        body = stored["spec"].get("template", stored)["spec"] if stored["kind"] in ("Deployment", "Pod") else {}
        for container in body.get("containers", []):
            container["env"] = [
                {"name": "API_TOKEN", "value": seed("env")},
                {"name": "FOLDER", "value": "/etc/grafana/provisioning/datasources"},
                {"name": "RESOURCE", "value": "both"},
                {"name": "DATABASE_URL", "value": f"postgres://u:{seed('envurl')}@db/x"},
            ]
    load(server, world)
    server.add("ConfigMap", NS, "grafana-datasources", labels={"grafana_datasource": "1"}, data=provisioning(seed))
    secret = {key: base64.b64encode(text.encode()).decode() for key, text in provisioning(seed, "other").items()}
    server.add("Secret", NS, "more", labels={"grafana_datasource": "1"}, data=secret)
    custom = {"datasource": {**datasource(seed, "custom"), "secureJsonData": {"httpHeaderValue1": seed("secure")}}}
    server.add("GrafanaDatasource", NS, "custom", spec={**custom, "instanceSelector": {}})


def datasource(seed: Seeds, uid: str) -> dict[str, Any]:
    settings = {"customQueryParameters": f"namespace=x&access_token={seed('parameters')}", "apiKey": seed("settings")}
    url = f"http://user:{seed('url')}@{PROXY_HOST}:8080/?apikey={seed('urlquery')}"
    secure = {"httpHeaderValue1": seed("secure"), "basicAuthPassword": seed("basic")}
    named = {"uid": uid, "name": uid, "type": "prometheus", "url": url, "basicAuthPassword": seed("old")}
    return {**named, "jsonData": {"httpHeaderName1": "Authorization", **settings}, "secureJsonData": secure}


def provisioning(seed: Seeds, uid: str = "tenant-x") -> dict[str, str]:
    return {"sources.yaml": json.dumps({"datasources": [datasource(seed, uid)]}), "note.txt": seed("note")}


def witnesses(server: ApiServer, world: World, seed: Seeds) -> dict[str, envoys.Json]:
    """Access logs with secrets, and what each sidecar of the deciding hop prints: a `config_dump` with secrets."""
    hop = world.diagnose().path.hops[-1]
    line = CLIENT_TEXT.format(time=LATE, host=PROXY_HOST).replace("query=up", f"query=up&access_token={seed('log')}")
    server.logs[NS, CLIENT, "istio-proxy"] = line.replace("curl/7.88.1", f"Bearer {seed('agent')}")
    dumps = {CLIENT: envoys.client(hop), SERVER: envoys.server(hop, SERVER)}
    for dump in dumps.values():
        key = {"name": "default", "secret": {"tls_certificate": {"private_key": {"inline_string": seed("key")}}}}
        header = {"header": {"key": "authorization", "value": seed("added")}}
        table = {"name": "other", "virtual_hosts": [], "request_headers_to_add": [header]}
        dump["configs"].append({"dynamic_active_secrets": [key], "dynamic_route_configs": [{"route_config": table}]})
    return dumps


@pytest.fixture(params=WORLDS)
def seed(request: pytest.FixtureRequest, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Seeds:
    """A cluster that is full of secrets, behind `server`."""
    seeds = Seeds()
    world = WORLDS[request.param](seeds)
    fill(server, world, seeds)
    dumps = witnesses(server, world, seeds)
    usual = server.run

    def run(pod: str, command: tuple[str, ...]) -> tuple[str, str, int]:
        if command[0] == "pilot-agent" and pod in dumps:
            return json.dumps(dumps[pod]), "", 0
        return usual(pod, command)

    monkeypatch.setattr(server, "run", run)
    return seeds


def leaks(*outputs: object) -> set[str]:
    """The seeds that came out."""
    return {found for output in outputs for found in SEEDED.findall(json.dumps(output))}


def reasons(result: dict[str, Any]) -> list[str]:
    return [remedy["reason"] for path in result["paths"] for remedy in path["remedies"]]


def both_forms(result: dict[str, Any]) -> list[Any]:
    return [query_path_report(result, {"grafana_namespace": NS}, form) for form in ("text", "markdown")]


def test_none_comes_out_of_a_diagnosis_its_snapshot_and_its_report(
    server: ApiServer, seed: Seeds, tmp_path: Path
) -> None:
    asked = {"grafana_namespace": NS, "all_datasources": True, "read_secrets": True}
    file = tmp_path / "snapshot.json"
    live = run_module(query_path_info, host=server.url, api_key=seed("api"), save_snapshot=str(file), **asked)
    assert [path["verdict"]["code"] for path in live["paths"]] == ["QP101"] * 3
    assert live["paths"][0]["verdict"]["certainty"] == "proved"
    saved = run_module(query_path_info, snapshot=str(file), **asked)
    assert saved["paths"][0]["verdict"] == live["paths"][0]["verdict"]
    # Not the hashes, which cover arguments that the snapshot holds masked.
    assert reasons(saved) == reasons(live)
    assert leaks(live, file.read_text(encoding="utf-8"), saved, *map(both_forms, (live, saved))) == set()
    assert len(seed.made) > 20


def test_none_comes_out_of_a_fix_its_diff_its_list_and_its_report(server: ApiServer, seed: Seeds) -> None:
    asked = {"host": server.url, "api_key": seed("api"), "grafana_namespace": NS, "datasource_uid": "tenant-x"}
    results = [
        run_module(query_path_remediation, check, diff=True, strategy="auto", **asked) for check in (True, False)
    ]
    assert [result["changed"] for result in results] == [True, True]
    results.append(run_module(query_path_remediation_info, **asked))
    assert leaks(results, *map(both_forms, results[:2])) == set()


def test_a_seed_that_comes_out_is_found() -> None:
    assert leaks({"msg": [f"x {Seeds()('place')} y"]}) == {"s33d-place-0"}
