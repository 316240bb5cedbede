# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof without access logs: debug lines prove a sound path, and what they leave open is never passed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import debug_log
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.judge import Proof, judge
from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.observation import Observation, PodLog
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import routed
from ansible_collections.meshops.istio_remediation.tests.unit._prove.test_judge import (
    DURING,
    GRAFANA,
    NONCE,
    PROMETHEUS,
    PROXY,
    PROXY_INBOUND,
    STARTED,
    Scene,
    answer,
    client,
    server,
)

QUERY = f"/api/v1/query?query=up%7Bx!%3D%22{NONCE}%22%7D"
TO_PROXY, TO_PROMETHEUS = f"outbound|8080||{PROXY_HOST}", f"outbound|9090||{PROMETHEUS_HOST}"
PASSTHROUGH, DIALLED = "PassthroughCluster", "10.96.0.4:9090"


def certificate(client_name: str, server_name: str) -> str:
    name = f"spiffe://cluster.local/ns/{NS}/sa"
    return f'By={name}/{server_name};Hash=74aa;Subject="";URI={name}/{client_name}'


class Debug:
    """The same sound path as Scene's, told by debug lines alone; a test spoils one thing."""

    def __init__(self) -> None:
        scene = Scene()
        self.path: Path = scene.permissive
        self.strict: Path = scene.path
        self.from_grafana = routed(TO_PROXY, QUERY, "r0", upstream="10.9.1.3:8080")
        self.at_proxy = routed(
            "inbound|8080||", QUERY, "r0", 11, certificate=certificate("grafana", "prom-label-proxy")
        )
        self.from_proxy = routed(TO_PROMETHEUS, QUERY, "r1", 21)
        self.at_prometheus = routed(
            "inbound|9090||", QUERY, "r1", 31, certificate=certificate("prom-label-proxy", "prometheus")
        )
        self.texts: dict[str, str] = {}

    def judge(self) -> Proof:
        lines = {
            GRAFANA: self.from_grafana,
            PROXY: [*self.at_proxy, *self.from_proxy],
            PROMETHEUS: self.at_prometheus,
        }
        logs = tuple(
            PodLog(NS, pod, self.texts.get(pod, ""), "", debug_log.parse("\n".join(said)))
            for pod, said in lines.items()
        )
        own, foreign = (answer("x"),) * 8, (answer(),)
        return judge(self.path, Observation(NONCE, STARTED, own, foreign, logs, (PROXY,), "namespace", "x"))


def results(proof: Proof) -> dict[str, str]:
    return {check.name.split()[0]: check.result for check in proof.checks if check.result != "passed"}


def test_a_sound_path_passes_by_certificates_under_permissive_too() -> None:
    proof = Debug().judge()
    assert proof.result == "passed", proof.checks
    assert f"certificate of spiffe://cluster.local/ns/{NS}/sa/prom-label-proxy at the server" in str(proof.checks)
    assert proof.served == ((PROXY, 1),)


def test_where_a_sidecar_has_an_access_log_it_counts_once() -> None:
    debug = Debug()
    debug.texts = {PROXY: "\n".join([PROXY_INBOUND, client()]), PROMETHEUS: server()}
    proof = debug.judge()
    assert proof.result == "passed", proof.checks
    assert proof.served == ((PROXY, 1),)


def test_plaintext_that_leaves_for_what_was_dialled_fails() -> None:
    debug = Debug()
    debug.from_proxy = routed(PASSTHROUGH, QUERY, "r1", 21, upstream=DIALLED)
    debug.at_prometheus = routed("inbound|9090||", QUERY, "r1", 31)
    assert results(debug.judge()) == {"mtls": "failed"}


def spoil(**changes: object) -> Callable[[Debug], None]:
    return lambda debug: debug.__dict__.update(changes)


def strict(debug: Debug, **changes: object) -> None:
    debug.path = debug.strict
    spoil(**changes)(debug)


def without(lines: list[str], text: str) -> list[str]:
    return [line for line in lines if text not in line]


def tcp(debug: Debug) -> None:
    debug.path = World().port("prometheus", appProtocol="tcp").diagnose().path
    debug.from_proxy, debug.at_prometheus = [], []


SOUND = Debug()
BEFORE = "2026-11-24T10:59:00.000000Z"
DOUBTS: dict[str, Callable[[Debug], None]] = {
    "no line at the client": spoil(from_proxy=[]),
    "no line at the server": spoil(at_prometheus=[]),
    "the server's header was removed or not kept": spoil(at_prometheus=routed("inbound|9090||", QUERY, "r1", 31)),
    "another request at the server": spoil(
        at_prometheus=routed("inbound|9090||", QUERY, "r9", 31, certificate=certificate("a", "b"))
    ),
    "no headers at the client": spoil(from_proxy=without(SOUND.from_proxy, "decoding headers")),
    "an old connection": spoil(from_proxy=without(SOUND.from_proxy, "connecting to")),
    "an old connection under STRICT": lambda debug: strict(
        debug, from_proxy=without(SOUND.from_proxy, "connecting to")
    ),
    "which connection carried it is not told": spoil(from_proxy=without(SOUND.from_proxy, "Attached upstream")),
    "only requests of others": spoil(from_proxy=routed(TO_PROMETHEUS, "/api/v1/query?query=other", "r1", 21)),
    "another Service's cluster, which may be meant": spoil(
        from_proxy=routed(f"outbound|9090||{PROXY_HOST}", QUERY, "r1", 21)
    ),
    "one request of two goes elsewhere": spoil(
        from_proxy=[*SOUND.from_proxy, *routed(PASSTHROUGH, QUERY, "r2", 41, upstream="10.96.0.99:4180")]
    ),
    "TCP, of which debug lines name no request": tcp,
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_debug_lines_leave_open_is_inconclusive_and_never_passed(name: str) -> None:
    debug = Debug()
    DOUBTS[name](debug)
    proof = debug.judge()
    assert proof.result == "inconclusive", proof.checks


def test_strict_vouches_where_the_server_does_not_tell_a_certificate() -> None:
    debug = Debug()
    strict(debug, at_prometheus=routed("inbound|9090||", QUERY, "r1", 31))
    assert debug.judge().result == "passed"


def test_the_way_out_is_said_where_nothing_was_logged() -> None:
    debug = Debug()
    debug.from_proxy = []
    told = " ".join(check.text for check in debug.judge().checks)
    assert "meshConfig.accessLogFile: /dev/stdout" in told
    assert "raise_log_level" in told


def test_requests_from_before_the_probe_do_not_count() -> None:
    debug = Debug()
    debug.at_prometheus = [line.replace(DURING[:19], BEFORE[:19]) for line in debug.at_prometheus]
    assert results(debug.judge()) == {"mtls": "inconclusive"}
