# SPDX-License-Identifier: GPL-3.0-or-later
"""The third witness: Envoy proves, contradicts, or has nothing to say; and no witness changes the verdict alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import envoys
import pytest
from _verdict import test_policy, test_routing, test_surroundings, test_transport
from _verdict.test_testimony import CLIENT, PASSED, SERVER, as_json
from variations import METHODS, Change, destination_rule, policy, rewrite
from world import PROMETHEUS_HOST, PROXY_HOST, QUESTION, World

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import BLOCKED, PASSTHROUGH, Hop
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import to_dict
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict import envoy_witness, outcome
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.engine import Judgement, Verdict

CASES: dict[str, Change] = {
    f"{module.__name__.rpartition('_')[2]}: {name}": case[0]
    for module in (test_policy, test_routing, test_surroundings, test_transport)
    for name, case in module.CASES.items()
}
WITHOUT_LOGS, WITHOUT_ENVOY = QUESTION._replace(read_logs=False), QUESTION._replace(read_envoy=False)


def prepared(change: Change, question: Question = QUESTION) -> World:
    """The changed world with sidecars that have, and have logged, what the configuration gives them."""
    world = World()
    change(world)
    silent = world.diagnose(question)
    index = next(iter(silent.judgement.envoys))
    hop = silent.path.hops[index]
    world.envoys = envoys.truthful(hop, denies=_denied(silent.judgement))
    for heard in silent.judgement.testimonies:
        log(world, silent.path.hops[heard], silent.judgement)
    world.asked = []
    return world


def _denied(judgement: Judgement) -> bool:
    return (judgement.verdict.code, judgement.verdict.status) == ("QP501", "broken")


def log(world: World, hop: Hop, judgement: Judgement) -> None:
    """The newest line of the client's sidecar about a hop, as the prediction wants it."""
    if hop.route.kind in ("no_sidecar", "ambient", "unknown"):
        return
    failed = _denied(judgement) or outcome.of_hop(hop).kind == outcome.FAILS
    address = next(iter([*(pod.ip for pod in hop.step.pods_dialled), *hop.step.service.cluster_ips]))
    line = {
        "response_code": 503 if failed else 200,
        "response_flags": "UC" if failed else "-",
        "response_code_details": "x",
        "route_name": hop.route.name or None,
        "upstream_cluster": hop.route.cluster or None,
        "downstream_local_address": f"{address}:{hop.step.port.number}",
    }
    if hop.route.kind == BLOCKED:
        line |= {"response_code": 502, "response_flags": "-"}
    if hop.route.kind == "no_cluster":
        line |= {"response_flags": "NC"}
    for pod in hop.step.client.pods:
        world.logs[pod.name] = f"{world.logs.get(pod.name, '')}\n{as_json(**line)}"


def verdict(world: World, question: Question = QUESTION) -> Verdict:
    return world.diagnose(question).judgement.verdict


@pytest.mark.parametrize("name", CASES)
def test_a_silent_witness_changes_no_verdict_and_makes_a_proof_a_prediction(name: str) -> None:
    world = prepared(CASES[name])
    full = verdict(world)
    for question in (WITHOUT_LOGS, WITHOUT_ENVOY, QUESTION._replace(read_logs=False, read_envoy=False)):
        less = verdict(world, question)
        assert (less.status, less.code, less.summary) == (full.status, full.code, full.summary)
        assert less.certainty == ("predicted" if full.certainty == "proved" else full.certainty)


def test_most_worlds_are_proved_by_witnesses_that_tell_the_truth() -> None:
    proved = [verdict(prepared(change)).certainty == "proved" for change, *_expected in test_routing.CASES.values()]
    assert sum(proved) > len(proved) / 2


def test_three_witnesses_that_agree_prove_and_each_is_heard() -> None:
    found = verdict(prepared(lambda _: None))
    assert (found.status, found.code, found.certainty) == ("broken", "QP101", "proved")
    assert [(witness.name, witness.stance) for witness in found.witnesses] == [
        ("configuration", "agrees"),
        ("envoy", "agrees"),
        ("logs", "agrees"),
    ]
    assert "0.0.0.0_9090" in found.witnesses[1].says
    assert "STRICT" in found.witnesses[1].says


def test_envoy_that_cannot_be_asked_is_silent_and_says_why() -> None:
    found = verdict(World())
    assert (found.status, found.certainty) == ("broken", "predicted")
    assert [witness.stance for witness in found.witnesses] == ["agrees", "silent", "silent"]
    assert "exec is forbidden" in found.witnesses[1].says


def stale(before: Change, after: Change) -> World:
    """The world after a change, with sidecars that have the configuration from before it."""
    world = World()
    after(world)
    world.envoys = prepared(before).envoys
    return world


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda _: None, lambda world: world.port("prometheus", appProtocol="tcp")),
        (lambda world: world.port("prometheus", appProtocol="tcp"), lambda _: None),
        (lambda _: None, lambda world: world.peer_authentication("PERMISSIVE")),
        (lambda world: world.peer_authentication("PERMISSIVE"), lambda _: None),
        (rewrite(PROMETHEUS_HOST), destination_rule({"mode": "DISABLE"})),
    ],
    ids=["now TCP", "TCP before", "now PERMISSIVE", "PERMISSIVE before", "now with a rule"],
)
def test_a_stale_dump_is_inconclusive_and_names_a_late_push(before: Change, after: Change) -> None:
    world = stale(before, after)
    judgement = world.diagnose().judgement
    found = judgement.verdict
    assert (found.status, found.code, found.certainty) == ("inconclusive", "QP901", "contradicted")
    assert [witness.stance for witness in found.witnesses] == ["agrees", "differs", "silent"]
    evidence = " ".join(next(entry.evidence for entry in judgement.findings if entry.code == "QP901"))
    assert "push that has not reached the sidecar" in evidence
    assert "Envoy has" in evidence


@pytest.mark.parametrize("name", CASES)
def test_a_dump_from_another_configuration_is_inconclusive_wherever_the_hop_differs(name: str) -> None:
    """The sidecars of the stack as it is, in every world: what they have is old."""
    world = prepared(CASES[name])
    full = world.diagnose()
    index = next(iter(full.judgement.envoys))
    before, now = World().diagnose().path.hops[-1], full.path.hops[index]
    world.envoys = envoys.truthful(before)
    same_pods = (before.step.client.name, before.step.server.name) == (now.step.client.name, now.step.server.name)
    if same_pods and before.step.service.cluster_ips == now.step.service.cluster_ips and not now.step.pods_dialled:
        found = verdict(world)
        differs = _differs(before, now)
        assert (found.code == "QP901") is differs
        assert found.status == ("inconclusive" if differs else full.judgement.verdict.status)


def _differs(before: Hop, now: Hop) -> bool:
    """The stack's hop ends in PassthroughCluster under STRICT; a hop that no sidecar carries has no Envoy to differ."""
    carried = now.route.kind in ("service", "other_service", "passthrough", "blocked", "dynamic_dns", "no_cluster")
    modes = dict(now.modes)
    return (carried and now.route.kind != before.route.kind) or any(
        pod in modes and modes[pod].mode != mode.mode for pod, mode in before.modes
    )


def test_logs_do_not_outvote_an_envoy_that_differs() -> None:
    world = stale(lambda _: None, lambda world: world.port("prometheus", appProtocol="tcp"))
    world.logs = {CLIENT: PASSED}
    assert verdict(world).status == "inconclusive"


def test_a_failure_by_policy_needs_policies_in_envoy() -> None:
    sound = prepared(policy("ALLOW", METHODS))
    assert verdict(sound).certainty == "proved"
    without = {name: obj for name, obj in sound.envoys.items() if name != SERVER}
    sound.envoys = {
        **without,
        SERVER: prepared(lambda world: world.port("prometheus", appProtocol="tcp")).envoys[SERVER],
    }
    assert verdict(sound).certainty == "predicted"


def test_envoy_is_asked_for_what_the_hop_meets_alone() -> None:
    world = prepared(lambda _: None)
    world.diagnose()
    client, server = (need for need in world.asked if need.verb == "envoy")
    assert (client.name, server.name) == (CLIENT, SERVER)
    wanted, other = re.compile(client.command[0]), f"other.monitoring.{PROXY_HOST.partition('.monitoring.')[2]}"
    for name in ("0.0.0.0_9090", "10.96.0.4_9090", "virtualOutbound", "9090", f"{PROMETHEUS_HOST}:9090"):
        assert wanted.fullmatch(name), name
    for name in (f"outbound|9090||{PROMETHEUS_HOST}", f"outbound|9090|v1|{PROMETHEUS_HOST}", "PassthroughCluster"):
        assert wanted.fullmatch(name), name
    for name in ("0.0.0.0_8080", "10.96.0.9_9090", f"{other}:9090", f"outbound|9090||{other}", "virtualInbound"):
        assert not wanted.fullmatch(name), name
    assert server.command == ("virtualInbound",)


def test_the_witnesses_are_in_the_result() -> None:
    found = json.loads(json.dumps(to_dict(prepared(lambda _: None).diagnose())))["verdict"]["witnesses"]
    assert [sorted(entry) for entry in found] == [["name", "says", "stance"]] * 3


def test_http_1_0_meets_the_default_chain() -> None:
    world = prepared(lambda _: None)
    hop = world.diagnose().path.hops[-1]
    raw = envoys.client(hop)
    entry = raw["configs"][0]["dynamic_listeners"][0]["active_state"]["listener"]
    entry["filter_chains"][0]["filter_chain_match"] = envoys.HTTP_MATCH
    entry["default_filter_chain"] = envoys.tcp_chain("BlackHoleCluster")
    world.envoys[CLIENT] = envoys.plain(raw)
    relay = hop.step.client_relay
    assert relay is not None
    old = hop._replace(step=hop.step._replace(client_relay=relay._replace(http_version="1.0")))
    snapshot = world.snapshot()
    assert envoy_witness.hear(QUESTION, snapshot, hop).route == PASSTHROUGH
    assert envoy_witness.hear(QUESTION, snapshot, old).route == BLOCKED


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda dump: dump.pop("tables"), "tables is no list"),
        (lambda dump: dump["listeners"][0].pop("chains"), "an entry of listeners has not the fields name, addresses"),
        (lambda dump: dump["listeners"][0]["chains"][0].update(added=1), "an entry of listeners.chains has not"),
        (lambda dump: dump["clusters"].append("PassthroughCluster"), "an entry of clusters has not the fields"),
        (lambda dump: dump["listeners"][0].update(port="9090"), "listeners.port is no int"),
        (lambda dump: dump["tables"][0]["hosts"][0].update(domains=[None]), "tables.hosts.domains is no str"),
    ],
)
def test_a_saved_dump_of_another_shape_is_refused_in_a_sentence(
    damage: Callable[[envoys.Json], object], why: str
) -> None:
    world = prepared(lambda _: None)
    damage(world.envoys[CLIENT])
    with pytest.raises(InputError) as refused:
        world.diagnose()
    assert f"in Pod monitoring/{CLIENT}" in str(refused.value)
    assert why in str(refused.value)
    assert "Save the snapshot again" in str(refused.value)
