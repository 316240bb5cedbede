# SPDX-License-Identifier: GPL-3.0-or-later
"""A proof that can fail: each promise is broken in turn, and the judge must notice."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.judge import Proof, judge
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.observation import (
    Observation,
    PodLog,
    Reply,
)

NONCE, STARTED, DURING, BEFORE = "n0nce", "2026-11-24T11:00:00Z", "2026-11-24T11:00:01.5Z", "2026-11-24T10:59:00.0Z"
GRAFANA, PROXY, PROMETHEUS = "grafana-abc-1", "prom-label-proxy-abc-1", "prometheus-abc-1"
SNI = f"outbound_.9090_._.{PROMETHEUS_HOST}"


def line(**fields: object) -> str:
    record: dict[str, object] = {"start_time": DURING, "response_code": 200, "response_flags": "-"}
    record |= {"response_code_details": "via_upstream", "path": f"/api/v1/query?query=up%7Bx!%3D%22{NONCE}%22%7D"}
    return json.dumps(record | {"request_id": "r1"} | fields)


def client(
    address: str = "10.9.1.3:40000", cluster: str = f"outbound|9090||{PROMETHEUS_HOST}", **fields: object
) -> str:
    return line(
        upstream_cluster=cluster, upstream_local_address=address, downstream_local_address="10.96.0.4:9090", **fields
    )


def server(sni: str | None = SNI, address: str = "10.9.1.3:40000", **fields: object) -> str:
    return line(
        upstream_cluster="inbound|9090||", requested_server_name=sni, downstream_remote_address=address, **fields
    )


GRAFANA_LINE = line(
    upstream_cluster=f"outbound|8080||{PROXY_HOST}",
    upstream_local_address="10.9.1.2:50000",
    upstream_host="10.9.1.3:8080",
    downstream_local_address="10.96.0.3:8080",
    request_id="r0",
)
PROXY_INBOUND = line(
    upstream_cluster="inbound|8080||",
    requested_server_name=f"outbound_.8080_._.{PROXY_HOST}",
    downstream_remote_address="10.9.1.2:50000",
    request_id="r0",
)


def answer(*namespaces: str) -> Reply:
    result = [{"metric": {"__name__": "up", "namespace": namespace}, "value": [0, "1"]} for namespace in namespaces]
    return Reply(200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}))


class Scene:
    """What a probe sees on a sound path; a test spoils one thing."""

    def __init__(self) -> None:
        world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
        self.path: Path = world.diagnose().path
        self.permissive: Path = world.peer_authentication("PERMISSIVE").diagnose().path
        self.logs = {GRAFANA: [GRAFANA_LINE], PROXY: [PROXY_INBOUND, client()], PROMETHEUS: [server()]}
        self.own = [answer("x")] * 8
        self.foreign = [answer()]
        self.replicas = (PROXY,)
        self.tenant_label, self.tenant = "namespace", "x"
        self.settled, self.logs_from = "", ""

    def judge(self) -> Proof:
        logs = tuple(PodLog(NS, pod, "\n".join(lines)) for pod, lines in self.logs.items())
        return judge(
            self.path,
            Observation(
                NONCE,
                STARTED,
                tuple(self.own),
                tuple(self.foreign),
                logs,
                self.replicas,
                self.tenant_label,
                self.tenant,
                self.settled,
                self.logs_from,
            ),
        )


def spoil(**changes: object) -> Callable[[Scene], None]:
    return lambda scene: scene.__dict__.update(changes)


def proxy_logs(*lines: str) -> Callable[[Scene], None]:
    return lambda scene: scene.logs.update({PROXY: [PROXY_INBOUND, *lines]})


def server_logs(*lines: str) -> Callable[[Scene], None]:
    return lambda scene: scene.logs.update({PROMETHEUS: list(lines)})


def weaken(scene: Scene) -> None:
    scene.path = scene.permissive
    scene.logs[PROMETHEUS] = []


def tcp(scene: Scene) -> None:
    scene.path = World().port("prometheus", appProtocol="tcp").diagnose().path
    no_request = {"response_code": 0, "path": None, "request_id": None, "response_code_details": None}
    scene.logs[PROXY] = [PROXY_INBOUND, client(**no_request)]
    scene.logs[PROMETHEUS] = [server(**no_request)]


def open_tunnel(scene: Scene) -> None:
    tcp(scene)
    scene.logs.update({PROXY: [PROXY_INBOUND], PROMETHEUS: []})


def test_a_sound_path_passes_with_its_evidence() -> None:
    proof = Scene().judge()
    assert proof.result == "passed", proof.checks
    assert SNI in " ".join(check.text for check in proof.checks)
    assert proof.served == ((PROXY, 1),)


def test_a_tcp_path_is_proved_by_the_lines_of_closed_connections() -> None:
    scene = Scene()
    tcp(scene)
    proof = scene.judge()
    assert proof.result == "passed", proof.checks


FAILURES: dict[str, tuple[Callable[[Scene], None], str]] = {
    "503 from Envoy": (spoil(own=[Reply(503, "upstream connect error … connection termination")]), "answers"),
    "one of eight fails": (spoil(own=[answer("x")] * 7 + [Reply(503, "")]), "answers"),
    "200 with an error in the body": (spoil(own=[Reply(200, '{"status":"error","error":"x"}')]), "answers"),
    "200 that is a web page": (spoil(own=[Reply(200, "<html>Internal prom-label-proxy API</html>")]), "answers"),
    "one fails beside one without an answer": (
        spoil(own=[Reply(0, "", "connection refused"), Reply(503, "")]),
        "answers",
    ),
    "another tenant's series in the own answer": (spoil(own=[answer("x", "secret")]), "answers"),
    "series without the label": (spoil(own=[answer("x", "")]), "answers"),
    "another tenant can be read": (spoil(foreign=[answer("secret")]), "tenants"),
    "plaintext at the client": (proxy_logs(client(cluster="PassthroughCluster")), "mtls"),
    "one of two requests astray": (proxy_logs(client(), client(cluster="PassthroughCluster", request_id="r2")), "mtls"),
    "plaintext at the server": (server_logs(server(sni=None)), "mtls"),
    "TLS that is not Istio's": (server_logs(server(sni="prometheus")), "mtls"),
    "the wrong Service answers": (proxy_logs(client(cluster=f"outbound|9090||{PROXY_HOST}")), "mtls"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_broken_promise_fails_the_proof(name: str) -> None:
    change, check = FAILURES[name]
    scene = Scene()
    change(scene)
    proof = scene.judge()
    assert proof.result == "failed", proof.checks
    assert [entry.name.split()[0] for entry in proof.checks if entry.result == "failed"] == [check]


DOUBTS: dict[str, Callable[[Scene], None]] = {
    "no traffic": spoil(own=[], foreign=[]),
    "no answer": spoil(own=[Reply(0, "", "connection refused")]),
    "one without an answer among others": spoil(own=[answer("x")] * 7 + [Reply(0, "", "connection refused")]),
    "no series": spoil(own=[answer()]),
    "no question about other tenants": spoil(foreign=[]),
    "tenant unknown": spoil(tenant=""),
    "the other tenant's query fails": spoil(foreign=[Reply(503, "")]),
    "a replica that never served": lambda scene: scene.logs.update({GRAFANA: [], PROXY: [client()]}),
    "no replica ready": spoil(replicas=()),
    "no line at the client": proxy_logs(),
    "only lines of other requests": proxy_logs(client(path="/api/v1/query?query=other")),
    "PERMISSIVE and no line at the server": weaken,
    "only connections from before the probe": proxy_logs(client(start_time=BEFORE, request_id="r9"), client()),
    "TCP and no connection closed": open_tunnel,
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_was_not_seen_is_inconclusive_and_never_passed(name: str) -> None:
    scene = Scene()
    DOUBTS[name](scene)
    proof = scene.judge()
    assert proof.result == "inconclusive", proof.checks


def test_a_refusal_of_the_other_tenants_series_is_as_good_as_an_empty_answer() -> None:
    scene = Scene()
    scene.foreign = [Reply(400, "label matcher conflict")]
    assert scene.judge().result == "passed"


def test_strict_vouches_where_the_servers_line_is_still_to_come() -> None:
    scene = Scene()
    scene.logs[PROMETHEUS] = []
    proof = scene.judge()
    assert proof.result == "passed"
    assert "accepts nothing but mTLS" in " ".join(check.text for check in proof.checks)


def kept_open(scene: Scene, settled: str, logs_from: str = "2026-11-24T10:55:00Z", first: str = BEFORE) -> Proof:
    """A probe all of whose requests went over one connection that had been used before."""
    scene.logs[PROXY] = [PROXY_INBOUND, client(start_time=first, request_id="r9"), client()]
    scene.settled, scene.logs_from = settled, logs_from
    return scene.judge()


def test_a_connection_opened_since_the_last_change_is_young_enough() -> None:
    assert kept_open(Scene(), settled="2026-11-24T10:58:30Z").result == "passed"


def test_a_connection_from_before_the_last_change_is_not() -> None:
    assert kept_open(Scene(), settled="2026-11-24T10:59:30Z").result == "inconclusive"


def test_logs_that_do_not_reach_back_to_the_last_change_prove_nothing_about_it() -> None:
    scene = Scene()
    tcp(scene)
    scene.logs[PROXY].insert(1, client(start_time=BEFORE))
    scene.settled, scene.logs_from = "2026-11-24T10:50:00Z", "2026-11-24T10:58:00Z"
    assert scene.judge().result == "inconclusive"


def test_requests_that_are_routed_one_by_one_need_no_new_connection_long_after_the_last_change() -> None:
    assert kept_open(Scene(), settled="2026-11-20T00:00:00Z").result == "passed"
