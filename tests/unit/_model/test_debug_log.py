# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests out of Envoy's debug lines: as they were recorded, interleaved, cut, in other formats, and forged."""

from __future__ import annotations

import json
import random
import re

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import debug_log
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.access_log import Record
from ansible_collections.meshops.istio_remediation.tests.unit._prove.sidecar import routed

OUTBOUND = "outbound|9090||prometheus.monitoring.svc.cluster.local"
PLP = "spiffe://cluster.local/ns/monitoring/sa/prom-label-proxy"
XFCC = f'By=spiffe://cluster.local/ns/monitoring/sa/prometheus;Hash=74aa;Subject="";URI={PLP}'
PATH = "/api/v1/query?query=up%7Bmeshops_probe%21%3D%22nabc%22%7D"


def parse(messages: list[str]) -> tuple[Record, ...]:
    return debug_log.parse("\n".join(messages))


def test_a_request_as_the_client_sends_it() -> None:
    [record] = parse(routed(OUTBOUND, PATH))
    assert (record.cluster, record.path, record.request_id) == (OUTBOUND, PATH, "r1")
    assert (record.authority, record.upstream_host, record.upstream_local) == ("prometheus:9090", "10.9.1.6:9090", "C2")
    assert record.time == "2026-11-24T11:00:01.500000Z"
    assert record.outbound
    assert record.peer == ""


def test_a_request_as_the_server_gets_it_names_the_client_that_its_sidecar_has_verified() -> None:
    [record] = parse(routed("inbound|9090||", PATH, certificate=XFCC))
    assert record.peer == PLP
    assert not record.outbound


def test_nothing_of_a_header_is_kept_but_what_is_judged() -> None:
    assert "canary51c9" not in repr(parse(routed(OUTBOUND, PATH)))


@pytest.mark.parametrize(
    "certificate",
    [
        # Forwarded by the client's program on top of nothing: the sidecar has verified nobody.
        "",
        # Of an earlier hop alone, with something behind it that names nobody.
        f'{XFCC},By=spiffe://cluster.local/ns/monitoring/sa/prometheus;Hash=75bb;Subject=""',
        f"{XFCC},",
        f"URI={PLP}",
        f"By=prometheus;Hash=74aa;URI={PLP}",
        "By=spiffe://a;Hash=1;URI=https://example.com",
    ],
)
def test_a_certificate_that_is_not_the_clients_is_none(certificate: str) -> None:
    [record] = parse(routed("inbound|9090||", PATH, certificate=certificate))
    assert record.peer == ""


def test_the_last_certificate_counts() -> None:
    forged = XFCC.replace("prom-label-proxy", "grafana")
    [record] = parse(routed("inbound|9090||", PATH, certificate=f"{forged},{XFCC}"))
    assert record.peer == PLP


def test_what_a_clients_program_says_about_certificates_is_not_believed() -> None:
    [record] = parse(routed(OUTBOUND, PATH, certificate=XFCC))
    assert record.peer == ""


def test_a_connection_from_before_the_log_is_not_new() -> None:
    lines = [line for line in routed(OUTBOUND, PATH) if "connecting to" not in line]
    [record] = parse(lines)
    assert (record.upstream_host, record.upstream_local) == ("", "")


def test_two_requests_over_one_connection() -> None:
    second = [line for line in routed(OUTBOUND, PATH, "r2", connection=5) if '[Tags: "ConnectionId":"6"]' not in line]
    second = [line.replace("connection [C6]", "connection [C2]") for line in second]
    assert [record.upstream_local for record in parse(routed(OUTBOUND, PATH) + second)] == ["C2", "C2"]


@pytest.mark.parametrize("seed", range(50))
def test_messages_of_several_threads_interleave(seed: int) -> None:
    chance = random.Random(seed)
    wanted, threads = {}, []
    for number in range(6):
        path, upstream = f"/{number}", f"10.9.1.{number}:9090"
        wanted[path] = (f"r{number}", upstream, f"C{10 * number + 2}")
        threads.append(routed(OUTBOUND, path, f"r{number}", 10 * number + 1, upstream=upstream, thread=number))
    mixed = []
    while remaining := [thread for thread in threads if thread]:
        mixed.append(chance.choice(remaining).pop(0))
    found = {record.path: (record.request_id, record.upstream_host, record.upstream_local) for record in parse(mixed)}
    assert found == wanted


@pytest.mark.parametrize("end", range(0, 700, 7))
def test_a_log_that_is_cut_anywhere_tells_less_and_nothing_else(end: int) -> None:
    text = "\n".join(routed("inbound|9090||", PATH, certificate=XFCC))
    [whole] = debug_log.parse(text)
    for part in (text[:end], text[end:]):
        for record in debug_log.parse(part):
            for field, value in record._asdict().items():
                cut = field in ("path", "cluster", "request_id", "authority", "upstream_host") and value
                assert value == getattr(whole, field) or not value or (cut and getattr(whole, field).startswith(value))


def test_a_line_of_the_agent_between_headers_ends_them() -> None:
    text = "\n".join(routed(OUTBOUND, PATH)).replace(
        "'x-request-id'", "2026-11-24T11:00:01Z\tinfo\tads\tpush\n'x-request-id'"
    )
    [record] = debug_log.parse(text)
    assert (record.authority, record.request_id) == ("prometheus:9090", "")


HOSTILE = "' match for URL '/x' cluster 'outbound|9090||evil' match for URL '"


def test_a_path_cannot_name_a_cluster() -> None:
    [record] = parse(routed("PassthroughCluster", HOSTILE))
    assert (record.cluster, record.path) == ("PassthroughCluster", HOSTILE)


def test_a_header_cannot_be_a_message() -> None:
    forged = "2026-11-24T11:00:01Z\tdebug\tenvoy router x\t[C1][S101] cluster 'inbound|1||' match for URL '/forged'"
    text = "\n".join(routed("PassthroughCluster", PATH)).replace("Bearer canary51c9", forged)
    assert [(record.cluster, record.path) for record in debug_log.parse(text)] == [("PassthroughCluster", PATH)]


def test_a_headers_value_cannot_be_another_header() -> None:
    text = "\n".join(routed(OUTBOUND, PATH)).replace("Bearer canary51c9", "x'\t'x-request-id', 'forged")
    assert [record.request_id for record in debug_log.parse(text)] == ["r1"]


def test_other_loggers_and_access_log_lines_are_passed_over() -> None:
    lines = ["2026-11-24T11:00:01Z\tdebug\tenvoy http x:1\t[C1][S101] cluster 'a' match for URL '/b'\tthread=1"]
    assert parse([*lines, '{"start_time": "2026-11-24T11:00:01Z", "response_code": 200}', "{", "[]", "{}", ""]) == ()


def test_the_tags_of_older_envoys() -> None:
    older = [
        re.sub(r'\[Tags: "ConnectionId":"(\d+)"(?:,"StreamId":"(\d+)")?\]', r"[C\1][S\2]", line).replace("[S]", "")
        for line in routed(OUTBOUND, PATH)
    ]
    assert "[C1][S101] pool ready" in "\n".join(older)
    assert parse(older) == parse(routed(OUTBOUND, PATH))


def test_a_log_as_json() -> None:
    lines = []
    for line in routed("inbound|9090||", PATH, certificate=XFCC):
        time, level, scope, *message = line.split("\t")
        said = "\t".join(message[:-1])
        told = {"level": level, "time": time, "scope": " ".join(scope.split(" ")[:2]), "msg": said, "thread": 7}
        lines.append(json.dumps(told))
    assert parse(lines) == parse(routed("inbound|9090||", PATH, certificate=XFCC))
    assert debug_log.parse('{"time": 1, "scope": ["router"], "msg": {}}') == ()


def test_levels_as_envoy_lists_them() -> None:
    listing = "active loggers:\n  admin: warning\n  connection: info\n  connection_x: debug\n  router: off\n"
    assert debug_log.levels(listing) == {"router": "off", "connection": "info"}
    assert debug_log.silent({"router": "off", "connection": "debug"}) == {"router": "off"}
    assert debug_log.silent({"router": "trace", "connection": "debug"}) == {}
    assert debug_log.setting({"router": "off", "connection": "info"}) == "router:off,connection:info"


def test_a_listing_cannot_smuggle_anything_into_a_request() -> None:
    assert debug_log.levels("  router: debug&level=trace\n  router: $(id)\n  connection: nothing\n") == {}
