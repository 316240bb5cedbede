# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of the lab's scenarios: well formed, laid over the stack that is there, about codes and fixes that exist."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
from stage import scenario
from steps import ROOT

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.catalog import RULES

MOLECULE = ROOT / "extensions" / "molecule"
CODES = [rule.RULE.code for rule in RULES]
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
ANSWER = {
    "type": "object",
    "properties": {
        "status": {"type": "integer"},
        "body": {"type": "string"},
        "tenants": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["status"],
    "additionalProperties": False,
}
AFTER = {
    "type": "object",
    "properties": {"answer": ANSWER},
    "required": ["answer"],
    "additionalProperties": False,
}
FIX = {
    "type": "object",
    "properties": {
        "remedy": {"enum": ["host_rewrite", "route_alias", "destination_rule", "service_protocol"]},
        "protocol": {"enum": ["auto", "tcp"]},
        "annotate": {"type": "boolean"},
        "accept_effects": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["remedy"],
    "additionalProperties": False,
}


def act(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


ACTS = {
    "fix": act("variables", "target", "after", variables=FIX, target={"type": "string"}, after=AFTER),
    "refusal": act("variables", "says", variables=FIX, says=TEXTS),
    "consent": act(
        "variables", "effects", "target", "after", variables=FIX, effects=TEXTS, target={"type": "string"}, after=AFTER
    ),
    "undo": act("variables", "says", variables=FIX, says=TEXTS),
    "runbook": act("says", "after", says=TEXTS, after=AFTER),
    "rehearsal": act(
        proved={"type": "array", "items": FIX, "minItems": 1},
        refused=act("variables", "says", variables=FIX, says=TEXTS),
    ),
    "inputs": {
        "type": "array",
        "items": act(
            "title",
            "variables",
            "says",
            title={"type": "string"},
            variables={"type": "object"},
            connection={"enum": ["nobody_listens", "without_rights"]},
            says={"type": "string"},
        ),
    },
    "crowd": {"type": "integer", "minimum": 1},
    "drive": act("command", "says", command=TEXTS, says=TEXTS, applied={"const": True}),
    "drift": act(
        "variables",
        "object",
        "patch",
        "says",
        variables=FIX,
        object={"type": "string"},
        patch={"type": "array", "items": {"type": "object"}, "minItems": 1},
        says=TEXTS,
    ),
}
VERDICT = act(
    "status",
    "code",
    status={"enum": ["healthy", "broken", "at_risk", "inconclusive"]},
    code={"enum": ["", *CODES]},
    certainty={"enum": ["proved", "predicted", "contradicted"]},
)
BEFORE = act(
    "answer",
    answer=ANSWER,
    verdict=VERDICT,
    predicted=VERDICT,
    findings={"type": "array", "items": {"enum": CODES}},
    summary={"type": "string"},
    evidence=TEXTS,
    under={"type": "object", "additionalProperties": {"type": "string"}},
)
# The lab's Istio is one that is known.
NOT_ON_THE_LAB = {"QP602"}
EDITS = {"type": "array", "items": act("object", "set", object={}, set={})}
OBJECTS = {"type": "array", "items": {"type": "object"}, "minItems": 1}
WORLD = act(mesh={"type": "object"}, edits=EDITS, objects=OBJECTS, unready=TEXTS)
SCHEMA = act(
    "description",
    "before",
    description={"type": "string"},
    row={"type": "string"},
    world=WORLD,
    late=act("once", once=ANSWER, objects=OBJECTS, edits=EDITS),
    open_connections={"const": True},
    alone={"const": True},
    before=BEFORE,
    probe=act("result", result={"enum": ["passed", "failed"]}, check={"enum": ["answers", "tenants", "mtls"]}),
    **ACTS,
)
WORLDS = scenario.group("catalogue")
MUTATIONS = scenario.group("mutations")
data = cache(scenario.read)
SHAPE = jsonschema.Draft202012Validator(SCHEMA)


def test_schema_is_a_json_schema() -> None:
    SHAPE.check_schema(SCHEMA)


def test_molecule_runs_every_scenario_and_no_other() -> None:
    assert {path.parent.name for path in MOLECULE.glob("*/molecule.yml")} == set(scenario.names())


@pytest.mark.parametrize("name", [*scenario.names(), *WORLDS, *MUTATIONS])
def test_data_is_well_formed(name: str) -> None:
    SHAPE.validate(data(name))
    assert len(set(data(name)) & set(ACTS)) <= 1, "a scenario is about one thing"


@pytest.mark.parametrize("name", [name for name in scenario.names() if not (MOLECULE / name / "converge.yml").exists()])
def test_verdict_is_one_of_the_findings(name: str) -> None:
    """The shared playbook compares both; a scenario with a playbook of its own need not have them."""
    before = data(name)["before"]
    code = before["verdict"]["code"]
    assert code in before["findings"] if code else before["findings"] == []


@pytest.mark.parametrize("name", scenario.names())
def test_world_can_be_laid_over_the_stack(name: str) -> None:
    world = scenario.load(name)
    stack = {scenario.identity(manifest) for manifest in scenario.plain().objects}
    assert stack <= {scenario.identity(manifest) for manifest in world.objects}
    changed = world.objects != scenario.plain().objects or world.mesh
    assert bool(changed) == bool(data(name).get("world") or list((scenario.SCENARIOS / name).glob("*.yaml")))


@pytest.mark.parametrize("name", [*WORLDS, *MUTATIONS])
def test_world_of_a_group_can_be_laid_over_the_stack(name: str) -> None:
    world = scenario.load(name)
    assert world.objects != scenario.plain().objects or world.mesh or world.late


@pytest.mark.parametrize("name", WORLDS)
def test_world_of_the_catalogue_is_only_judged(name: str) -> None:
    assert not set(data(name)) & set(ACTS)
    before, prefix = data(name)["before"], name.partition("/")[2].partition("_")[0].upper()
    code = before["verdict"]["code"]
    assert code in {"", *before["findings"]}
    assert prefix in before["findings"] if prefix.startswith("QP") else code == ""


def test_catalogue_has_every_rule_that_the_lab_can_show() -> None:
    shown = {code for name in [*WORLDS, *scenario.names()] for code in data(name)["before"].get("findings", [])}
    assert set(CODES) - shown == NOT_ON_THE_LAB


@pytest.mark.parametrize("name", ACTS)
def test_every_act_has_its_tasks(name: str) -> None:
    assert (MOLECULE / "shared" / "tasks" / f"{name}.yml").is_file()
    assert f"'{name}'" in (MOLECULE / "inventory.yml").read_text(encoding="utf-8")


def test_what_the_issue_claims_is_a_scenario() -> None:
    heals = {
        (found["fix"]["variables"]["remedy"], found["fix"]["variables"].get("protocol", ""))
        for found in map(data, scenario.names())
        if "fix" in found
    }
    assert heals == {
        ("host_rewrite", ""),
        ("route_alias", ""),
        ("destination_rule", ""),
        ("service_protocol", "auto"),
        ("service_protocol", "tcp"),
    }
    claims = [set(data(name)) & set(ACTS) for name in scenario.names()]
    assert {claim for found in claims for claim in found} == set(ACTS)
    verdicts = {data(name)["before"].get("verdict", {}).get("code") for name in scenario.names()}
    assert {"", "QP101", "QP102", "QP201"} <= verdicts


def test_the_proof_is_tried_on_ten_broken_worlds_and_on_a_sound_one() -> None:
    results = [probe["result"] for name in [*WORLDS, *MUTATIONS] if (probe := data(name).get("probe"))]
    assert results.count("failed") >= 10
    assert "passed" in results
