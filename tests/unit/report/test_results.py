# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about a fix and about a proof."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.meshops.istio_remediation.plugins.filter.query_path_report import query_path_report

ASKED = "-e grafana_namespace=monitoring -e datasource_uid=tenant-x"
QUESTION = {"grafana_namespace": "monitoring", "datasource_uid": "tenant-x"}
CHANGE = {
    "action": "patch",
    "target": "Service/monitoring/prometheus",
    "before": {"spec.ports[9090].appProtocol": None},
    "after": {"spec.ports[9090].appProtocol": "tcp"},
    "why": "port 9090 is chosen by address",
}
APPLIED = {
    "msg": "Applied service_protocol (tcp): port 9090 is chosen by address.",
    "changes": [CHANGE],
    "effects": [{"text": "Every client loses HTTP routing.", "needs_consent": False, "token": "loses_l7:x"}],
    "run": "query-path-1",
}


def text(result: dict[str, Any]) -> list[str]:
    shown = query_path_report(result, QUESTION)
    assert isinstance(shown, list)
    return shown


def test_applied_fix_shows_fields_effects_and_the_way_back() -> None:
    assert text(APPLIED) == [
        "Applied service_protocol (tcp): port 9090 is chosen by address.",
        "",
        "Changes",
        "  - patch Service/monitoring/prometheus: port 9090 is chosen by address",
        "      - spec.ports[9090].appProtocol: (nothing) -> tcp",
        "",
        "What else follows",
        "  - Every client loses HTTP routing.",
        "",
        "To take it back (recorded as query-path-1)",
        f"  ansible-playbook meshops.istio_remediation.rollback {ASKED}",
    ]


def test_nothing_to_do_is_one_sentence() -> None:
    result = {"msg": "Nothing to cure: queries pass.", "changes": [], "effects": [], "run": ""}
    assert text(result) == ["Nothing to cure: queries pass."]


def test_dry_run_offers_no_way_back() -> None:
    assert not [line for line in text({**APPLIED, "run": ""}) if "rollback" in line]


def test_reverted_fix_shows_what_stands_again() -> None:
    back = {**CHANGE, "before": CHANGE["after"], "after": CHANGE["before"]}
    shown = text({"msg": "Restored what stood before.", "changes": [back], "restored": ["x"], "run": "query-path-1"})
    assert shown[-1] == "      - spec.ports[9090].appProtocol: tcp -> (nothing)"


def test_values_that_are_no_text_stay_on_one_line() -> None:
    change = {**CHANGE, "before": {}, "after": {"spec": {"hosts": ["b"], "port": 9090}}}
    assert "      - spec: (nothing) -> {hosts: [b], port: 9090}" in text({**APPLIED, "changes": [change]})


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (["--a", "--b"], ["--a", "--b", "--c=d"], "with --c=d"),
        (["--a", "--b"], ["--b"], "without --a"),
        (["--a=1"], ["--a=2"], "without --a=1, with --a=2"),
        (["--a", "--b"], ["--b", "--a"], "in another order"),
        (None, ["--a"], "(nothing) -> [--a]"),
    ],
)
def test_of_a_list_only_what_comes_and_goes_is_shown(old: list[str] | None, new: list[str], shown: str) -> None:
    change = {**CHANGE, "before": {"args": old}, "after": {"args": new}}
    assert f"      - args: {shown}" in text({**APPLIED, "changes": [change]})


def test_proof_shows_every_promise() -> None:
    checks = [{"name": "answers", "result": "passed", "text": "3 of 3 queries were answered"}]
    assert text({"result": "passed", "msg": "Queries pass by mTLS.", "checks": checks}) == [
        "PASSED: Queries pass by mTLS.",
        "",
        "What was tested",
        "  - passed: answers: 3 of 3 queries were answered",
    ]


def test_hostile_text_of_a_change_is_inert() -> None:
    change = {**CHANGE, "why": "x\x1b[2J\nPLAY RECAP", "after": {"a\nb": "\u202e{{ 7*7 }}"}}
    shown = text({**APPLIED, "msg": "a\nPLAY", "changes": [change]})
    assert not [line for line in shown if not line.isprintable() or line.startswith("PLAY")]
    assert "{{ 7*7 }}" in " ".join(shown)
