# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of `make faults` that takes seconds: every kill, and every other fault at the calls of one fix that write."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_matrix.play import STRATEGIES, Play, Strategy, no_waiting
from fault_matrix.rehearsed import CLEAN, Rehearsed
from fault_matrix.rows import RESET, ROWS, Row
from fault_matrix.simulated import ILL, SOUND, Queried, Simulated
from fault_matrix.verified import Verified

from ansible_collections.meshops.istio_remediation.plugins.module_utils._prove.judge import FAILED
from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import ApiServer, serving

KILLED = {row.name: row for row in ROWS}["killed after the call"]
OTHERS = [row for row in ROWS if not row.kills]
TWO_CHANGES = {strategy.name: strategy for strategy in STRATEGIES}["service_protocol tcp"]


@pytest.mark.parametrize("state", ["applied", "reverted"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=[strategy.name for strategy in STRATEGIES])
def test_a_run_that_is_killed_anywhere_can_be_taken_back(server: ApiServer, strategy: Strategy, state: str) -> None:
    with no_waiting():
        play = Play(Simulated(server, strategy), strategy, state)
        found = {index: play.faults(KILLED, index) for index in play.struck(KILLED, play.first_lock)}
    assert len(found) > 10
    assert {index: wrong for index, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("row", OTHERS, ids=[row.name for row in OTHERS])
def test_a_fault_at_any_write_loses_nothing_and_is_told_truly(server: ApiServer, row: Row) -> None:
    with no_waiting():
        play = Play(Simulated(server, TWO_CHANGES), TWO_CHANGES, "applied")
        found = {index: play.faults(row, index) for index in play.struck(row) if index in play.writes}
    assert len(found) > 3
    assert {index: wrong for index, wrong in found.items() if wrong} == {}


def test_the_judge_sees_what_is_lost(server: ApiServer) -> None:
    """The judge itself is put to the test: someone loses what stood before."""
    with no_waiting():
        play = Play(Simulated(server, TWO_CHANGES), TWO_CHANGES, "applied")

        def lose(_verb: str, written: dict) -> None:
            if written["kind"] == "Service":
                written["spec"]["ports"][0]["appProtocol"] = "http2"

        server.on_write = lose
        found = play.faults(OTHERS[0], play.writes[-1])
    assert any(wrong.startswith("lost: ") for wrong in found)


def test_a_rehearsal_whose_writes_go_unanswered_leaves_nothing(server: ApiServer) -> None:
    row = next(row for row in ROWS if row.does == RESET)
    with serving(ApiServer()) as program, no_waiting():
        rehearsal = Rehearsed(server, program, "host_rewrite", CLEAN)
        found = {index: rehearsal.faults(row, index) for index in rehearsal.writes}
    assert len(found) > 7
    assert {index: wrong for index, wrong in found.items() if wrong} == {}


def test_the_judge_of_rehearsals_sees_what_is_touched_and_what_is_left(server: ApiServer) -> None:
    with serving(ApiServer()) as program, no_waiting():
        rehearsal = Rehearsed(server, program, "host_rewrite", CLEAN)
        controller = server.on_write

        def meddle(verb: str, written: dict) -> None:
            controller(verb, written)
            if verb == "delete" and written["kind"] == "Deployment":
                server.stored("Service", written["metadata"]["namespace"], "prometheus")["spec"]["ports"] = []
                server.add("AuthorizationPolicy", written["metadata"]["namespace"], "rest")

        server.on_write = meddle
        found = rehearsal.faults(OTHERS[0], rehearsal.writes[-1])
    assert any(wrong.startswith("lost: services/") for wrong in found)
    assert any(wrong.startswith("orphan: ") for wrong in found)


@pytest.mark.parametrize("world", [SOUND, ILL])
def test_a_proof_whose_answers_are_lost_finds_nothing_that_is_not_so(
    server: ApiServer, world: str, tmp_path: Path
) -> None:
    row = next(row for row in ROWS if row.does == RESET)
    with serving(ApiServer()) as grafana, no_waiting():
        proof = Verified(Queried(server, grafana, world, tmp_path))
        found = {index: proof.faults(row, index) for index in proof.struck(row)}
    assert len(found) > 30
    assert {index: wrong for index, wrong in found.items() if wrong} == {}


def test_the_judge_of_proofs_sees_a_verdict_that_is_not_so_and_what_is_written(
    server: ApiServer, tmp_path: Path
) -> None:
    with serving(ApiServer()) as grafana, no_waiting():
        stage = Queried(server, grafana, SOUND, tmp_path)
        proof = Verified(stage)
        stage.truth = FAILED
        found = proof.faults(OTHERS[1], 0)
        assert [wrong for wrong in found if wrong.startswith("false verdict: passed, and it is failed")]
        stage.requests = lambda: [server.requests[0]._replace(method="PATCH", path="/api/v1/namespaces/a/pods/b")]
        assert "written: PATCH /api/v1/namespaces/a/pods/b" in proof.faults(OTHERS[1], 0)
