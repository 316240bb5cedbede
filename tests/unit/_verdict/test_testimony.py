# SPDX-License-Identifier: GPL-3.0-or-later
"""The access logs as a witness: they prove, they contradict, or they have nothing to say, and then say why."""

from __future__ import annotations

import json

import pytest
from world import PROMETHEUS_HOST, PROXY_HOST, QUESTION, World, istio

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.engine import Verdict

CLIENT, SERVER = "prom-label-proxy-abc-1", "prometheus-abc-1"
# Verbatim from a sidecar of the lab, but for names and addresses: docs/truth-table.md.
CLIENT_TEXT = (
    '[{time}] "GET /api/v1/query?query=up HTTP/1.1" 503 UC '
    'upstream_reset_before_response_started{{connection_termination}} - "-" 0 95 0 - "127.0.0.6" "curl/7.88.1" '
    '"b73db24a" "{host}:8080" "10.96.0.4:9090" PassthroughCluster '
    "10.9.1.3:36320 10.96.0.4:9090 127.0.0.6:0 - allow_any"
)
SERVER_TEXT = (
    '[{time}] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - '
    "10.9.1.4:9090 10.9.1.3:36320 - -"
)
LATE, EARLY = "2026-11-24T10:51:57.113Z", "2026-10-01T00:00:00.000Z"


def as_json(**fields: object) -> str:
    record = {
        "start_time": LATE,
        "response_code": 503,
        "response_flags": "UC",
        "response_code_details": "upstream_reset_before_response_started{connection_termination}",
        "route_name": "allow_any",
        "upstream_cluster": "PassthroughCluster",
        "upstream_host": "10.96.0.4:9090",
        "upstream_local_address": "10.9.1.3:36320",
        "downstream_local_address": "10.96.0.4:9090",
        "downstream_remote_address": "127.0.0.6:0",
        "authority": f"{PROXY_HOST}:8080",
        "requested_server_name": None,
        **fields,
    }
    return json.dumps(record)


REFUSED = as_json(
    response_code=0,
    response_flags="NR",
    response_code_details="filter_chain_not_found",
    upstream_cluster=None,
    upstream_local_address=None,
    downstream_local_address="10.9.1.4:9090",
    downstream_remote_address="10.9.1.3:36320",
    authority=None,
)
PASSED = as_json(
    response_code=200,
    response_flags="-",
    response_code_details="via_upstream",
    route_name="default",
    upstream_cluster=f"outbound|9090||{PROMETHEUS_HOST}",
)


def stance(verdict: Verdict) -> str:
    """Of the logs."""
    return next(witness.stance for witness in verdict.witnesses if witness.name == "logs")


@pytest.mark.parametrize(
    ("client", "server"),
    [
        (as_json(), REFUSED),
        (CLIENT_TEXT.format(time=LATE, host=PROXY_HOST), SERVER_TEXT.format(time=LATE)),
    ],
    ids=["JSON", "TEXT"],
)
def test_both_sidecars_show_the_failure(client: str, server: str) -> None:
    world = World()
    world.logs = {CLIENT: f"2026-11-24T10:00:00Z\tinfo\tReadiness succeeded\n{client}\n{client[:70]}", SERVER: server}
    judgement = world.diagnose().judgement
    assert (judgement.verdict.status, stance(judgement.verdict)) == ("broken", "agrees")
    evidence = " ".join(judgement.findings[0].evidence)
    assert "503 UC" in evidence
    assert "PassthroughCluster" in evidence
    assert "NR filter_chain_not_found" in evidence


def test_without_logs_the_verdict_is_the_same_and_only_predicted() -> None:
    world = World()
    world.logs = {CLIENT: as_json(), SERVER: REFUSED}
    proved, predicted = (
        world.diagnose().judgement.verdict,
        world.diagnose(QUESTION._replace(read_logs=False)).judgement.verdict,
    )
    assert (proved.status, proved.code, proved.summary) == (predicted.status, predicted.code, predicted.summary)
    assert predicted.certainty == "predicted"


def test_silent_sidecars_are_told_how_to_speak() -> None:
    evidence = " ".join(World().diagnose().judgement.findings[0].evidence)
    assert "accessLogFile: /dev/stdout" in evidence


def test_a_request_that_passed_contradicts_a_prediction_of_failure() -> None:
    world = World()
    world.logs = {CLIENT: PASSED}
    verdict = world.diagnose().judgement.verdict
    assert (verdict.status, verdict.code, verdict.certainty) == ("inconclusive", "QP901", "contradicted")


def test_a_failure_contradicts_a_prediction_of_health() -> None:
    world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    world.logs = {CLIENT: as_json(), SERVER: REFUSED}
    judgement = world.diagnose().judgement
    assert judgement.verdict.status == "inconclusive"
    assert "503 UC" in " ".join(judgement.findings[0].evidence)


def test_lines_older_than_the_configuration_do_not_count() -> None:
    world = World()
    world.logs = {CLIENT: PASSED.replace(LATE, EARLY)}
    assert world.diagnose().judgement.verdict.certainty == "predicted"


def test_a_change_after_the_last_line_makes_it_old() -> None:
    world = World()
    world.logs = {CLIENT: PASSED}
    world.get("Service", "prometheus")["metadata"]["managedFields"] = [{"manager": "x", "time": "2026-11-24T10:52:00Z"}]
    assert stance(world.diagnose().judgement.verdict) == "silent"


def test_a_status_write_is_no_change() -> None:
    world = World()
    world.logs = {CLIENT: as_json(), SERVER: REFUSED}
    entry = {"manager": "x", "time": "2026-11-24T10:52:00Z", "subresource": "status"}
    world.get("Service", "prometheus")["metadata"]["managedFields"] = [entry]
    assert stance(world.diagnose().judgement.verdict) == "agrees"


def test_a_denial_by_policy_on_a_sound_path_is_inconclusive_and_shown() -> None:
    world = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    denied = as_json(
        response_code=403,
        response_flags="-",
        response_code_details="via_upstream",
        route_name="default",
        upstream_cluster=f"outbound|9090||{PROMETHEUS_HOST}",
    )
    at_server = as_json(
        response_code=403,
        response_flags="-",
        response_code_details="rbac_access_denied_matched_policy[none]",
        upstream_cluster="inbound|9090||",
        downstream_remote_address="10.9.1.3:36320",
    )
    world.logs = {CLIENT: denied, SERVER: at_server}
    verdict = world.diagnose().judgement.verdict
    assert verdict.status == "inconclusive"


def test_block_all_is_shown_by_the_client_alone() -> None:
    world = World()
    world.mesh = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    line = as_json(
        response_code=502,
        response_flags="-",
        response_code_details="direct_response",
        route_name="block_all",
        upstream_cluster=None,
    )
    world.logs = {CLIENT: line}
    verdict = world.diagnose().judgement.verdict
    assert (verdict.code, stance(verdict)) == ("QP102", "agrees")


def test_a_connection_that_the_server_resets_has_failed_though_its_own_line_is_not_written_yet() -> None:
    world = World().add(
        istio("Sidecar", "default", {"egress": [{"hosts": ["istio-system/*", f"./{PROXY_HOST}"]}]}),
    )
    reset = as_json(response_code=0, response_flags="UR", response_code_details=None, route_name=None, authority=None)
    world.logs = {CLIENT: reset}
    verdict = world.diagnose().judgement.verdict
    assert (verdict.code, stance(verdict)) == ("QP106", "agrees")
