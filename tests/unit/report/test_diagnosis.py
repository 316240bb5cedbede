# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about a diagnosis, made from diagnoses of the lab's stack."""

from __future__ import annotations

import copy
from typing import Any

import envoys
import pytest
from _verdict.test_testimony import CLIENT, REFUSED, SERVER, as_json
from ansible.errors import AnsibleFilterError
from world import NS, PROMETHEUS_HOST, USAGE_0_11, World, istio

from ansible_collections.meshops.istio_remediation.plugins.filter.query_path_report import (
    FilterModule,
    query_path_report,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import Unanswered
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer
from ansible_collections.meshops.istio_remediation.plugins.module_utils._result import several, to_dict

ASKED = "-e grafana_namespace=monitoring -e datasource_uid=tenant-x"
QUESTION = {"grafana_namespace": NS, "grafana_name": "grafana", "datasource_uid": "tenant-x"}
HTTP_ONLY = {"action": "ALLOW", "rules": [{"to": [{"operation": {"methods": ["GET"], "paths": ["/api/*"]}}]}]}


def lines(world: World) -> list[str]:
    shown = query_path_report(to_dict(world.diagnose()), QUESTION)
    assert isinstance(shown, list)
    return shown


def section(shown: list[str], heading: str) -> list[str]:
    start = next(number for number, line in enumerate(shown) if line.startswith(heading))
    end = next((number for number in range(start, len(shown)) if not shown[number]), len(shown))
    return shown[start + 1 : end]


def paragraph(shown: list[str]) -> str:
    return " ".join(shown[: shown.index("")])


def test_broken_path_from_verdict_to_command() -> None:
    shown = lines(World())
    assert paragraph(shown).startswith("BROKEN QP101: prom-label-proxy sends Host 'prom-label-proxy.monitoring")
    assert section(shown, "Path") == [
        "  Deployment/monitoring/grafana",
        "    | Host: prom-label-proxy.monitoring.svc.cluster.local:8080",
        "    | route: default -> outbound|8080||prom-label-proxy.monitoring.svc.cluster.local (mTLS)",
        "    | port: 8080 of Service monitoring/prom-label-proxy (HTTP), the server accepts STRICT",
        "    v",
        "  Deployment/monitoring/prom-label-proxy",
        "    | Host: prom-label-proxy.monitoring.svc.cluster.local:8080",
        "    | route: allow_any -> PassthroughCluster (plaintext)",
        "    | port: 9090 of Service monitoring/prometheus (HTTP), the server accepts STRICT",
        "    X the server's sidecar has no filter chain for plaintext (NR filter_chain_not_found) and",
        "      resets; the user sees 503",
        "  Deployment/monitoring/prometheus",
    ]
    fixes = section(shown, "Fixes that work here")
    assert [line.split(":")[0] for line in fixes if line[2].isdigit()] == [
        "  1. host_rewrite",
        "  2. route_alias",
        "  3. service_protocol (auto)",
        "  4. service_protocol (tcp)",
    ]
    assert "      - Deployment/monitoring/prom-label-proxy rolls out again (1 pod)." in fixes
    assert section(shown, "Fixes that are refused here")[0].startswith("  - destination_rule: A DestinationRule cannot")
    remediate = "  ansible-playbook meshops.istio_remediation.remediate"
    assert shown[-1].startswith(f"{remediate} {ASKED} -e remedy=host_rewrite -e plan_hash=")


def test_sections_follow_the_order_in_which_people_ask() -> None:
    shown = lines(World())
    headings = [shown[number + 1].split(":")[0] for number, line in enumerate(shown) if not line]
    assert headings == [
        "Path",
        "What the same hop does under each mode of the server",
        "Evidence",
        "Fixes that work here, least harm first",
        "Fixes that are refused here",
        "Next",
    ]


def test_both_modes_are_compared() -> None:
    modes = " ".join(section(lines(World()), "What the same hop does"))
    assert "STRICT: the server's sidecar has no filter chain" in modes
    assert "PERMISSIVE: accepted unencrypted" in modes


def test_permissive_path_is_marked_where_it_is_exposed() -> None:
    shown = lines(World().peer_authentication("PERMISSIVE"))
    assert shown[0].startswith("AT RISK QP101: ")
    assert any(line.startswith("    ! accepted unencrypted") for line in section(shown, "Path"))


def test_healthy_path_is_to_be_proven() -> None:
    world = World().proxy_args(lambda args: [*args, "--rewrite-host-header-to=prometheus.monitoring.svc.cluster.local"])
    shown = lines(world)
    assert shown[0].startswith("HEALTHY: Queries pass")
    assert not any(line.startswith("Fixes") for line in shown)
    assert shown[-2] == "Next: prove it with a query through the mesh"
    assert shown[-1] == f"  ansible-playbook meshops.istio_remediation.verify {ASKED}"


def test_effect_that_needs_consent_is_named_and_put_into_the_command() -> None:
    diagnosis = to_dict(World().add(istio("AuthorizationPolicy", "api-only", HTTP_ONLY)).diagnose())
    diagnosis["remedies"] = [remedy for remedy in diagnosis["remedies"] if remedy["protocol"] == "tcp"]
    shown = query_path_report(diagnosis, QUESTION)
    assert "NEEDS CONSENT to denies_all:AuthorizationPolicy/monitoring/api-only:" in " ".join(shown)
    assert "-e protocol=tcp -e accept_effects=denies_all:AuthorizationPolicy/monitoring/api-only" in shown[-1]
    assert "this accepts what NEEDS CONSENT above" in " ".join(shown[-3:-1])


def test_refused_fix_gives_its_reason() -> None:
    world = World()
    world.usage = Answer(text=USAGE_0_11)
    refused = " ".join(section(lines(world), "Fixes that are refused here"))
    assert "host_rewrite: prom-label-proxy 0.15.0 has no flag --rewrite-host-header-to" in refused


def test_what_is_not_known_is_said_and_nothing_is_offered() -> None:
    world = World()
    world.refused["PeerAuthentication"] = "listing PeerAuthentications in monitoring is forbidden"
    shown = lines(world)
    assert shown[0].startswith("INCONCLUSIVE QP902: ")
    assert "forbidden" in " ".join(shown)
    assert shown[-2] == "Next: clear up what is not known, then diagnose again"
    assert "meshops.istio_remediation.diagnose" in shown[-1]


def test_without_a_fix_the_cause_is_to_be_corrected() -> None:
    diagnosis = to_dict(World().diagnose())
    for remedy in diagnosis["remedies"]:
        remedy["applicable"] = False
    assert query_path_report(diagnosis, QUESTION)[-2].startswith("Next: no fix works here")


def test_every_text_of_a_diagnosis_may_be_hostile() -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poison(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [poison(entry) for entry in value]
        return f"{value}\x1b[2J\r\nPLAY RECAP {{{{ 7*7 }}}}\u202e" if isinstance(value, str) else value

    diagnosis = poison(copy.deepcopy(to_dict(World().diagnose())))
    shown = query_path_report(diagnosis, QUESTION)
    assert not [line for line in shown if not line.isascii() or not line.isprintable()]
    assert not [line for line in shown if line.startswith("PLAY RECAP")]
    assert not [line for line in shown[:-1] if len(line) > 99]


def test_markdown_report() -> None:
    shown = query_path_report(to_dict(World().diagnose()), QUESTION, form="markdown")
    assert isinstance(shown, str)
    assert shown.startswith("**BROKEN QP101: ")
    assert "\n## Path\n\n```text\n  Deployment/monitoring/grafana\n" in shown
    assert "\n```console\nansible-playbook meshops.istio_remediation.remediate" in shown


@pytest.mark.parametrize("wrong", [None, [], "text", {}, {"failed": True, "msg": "x"}])
def test_anything_but_a_diagnosis_is_refused_in_one_sentence(wrong: Any) -> None:
    with pytest.raises(
        AnsibleFilterError,
        match="needs what a query_path module",
    ):
        query_path_report(wrong)


def test_unknown_form_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="knows the forms text and markdown, not html"):
        query_path_report(to_dict(World().diagnose()), form="html")


def test_filter_is_found_by_its_name() -> None:
    assert FilterModule().filters() == {"query_path_report": query_path_report}


def certainty(world: World) -> str:
    return section(lines(world), "Evidence")[0].strip()


def test_certainty_names_the_witnesses_that_were_heard() -> None:
    assert certainty(World()).startswith(
        "- predicted: from the configuration; Envoy's own configuration and the sidecars'"
    )
    world, elsewhere = World(), World().port("prometheus", appProtocol="tcp")
    world.envoys = envoys.truthful(World().diagnose().path.hops[-1])
    assert certainty(world).startswith(
        "- predicted: from the configuration; the sidecars' access logs say nothing about"
    )
    world.logs = {CLIENT: as_json(), SERVER: REFUSED}
    assert certainty(world) == "- proved: shown by Envoy's own configuration and the sidecars' access logs"
    world.logs = {}
    elsewhere.envoys = world.envoys
    assert certainty(elsewhere) == "- contradicted: the configuration, by Envoy's own configuration"


def test_several_paths_are_a_line_each_and_the_worst_as_a_whole() -> None:
    healthy = World().proxy_args(lambda args: [*args, f"--rewrite-host-header-to={PROMETHEUS_HOST}"])
    results = [world.diagnose() for world in (healthy, World())]
    source = results[0].path.datasource
    named = [
        result._replace(path=result.path._replace(datasource=source._replace(uid=uid)))
        for uid, result in zip(("sound", "ill"), results, strict=True)
    ]
    unanswered = Unanswered(source._replace(uid="odd"), "It leads out of the cluster.")
    shown = query_path_report(several([*named, unanswered], ["403 Forbidden"]), {"grafana_namespace": NS})
    assert isinstance(shown, list)
    assert paragraph(shown).startswith("BROKEN QP101")
    marks = [line.split(":")[0] for line in section(shown, "3 data sources") if line.startswith("  - ")]
    assert marks == ["  - ill", "  - odd", "  - sound", "  - there may be more"]
    assert section(shown, "Path")
    assert "-e datasource_uid=ill" in shown[-1]
    only = query_path_report(several([unanswered], []), {"grafana_namespace": NS})
    assert isinstance(only, list)
    assert paragraph(only) == "INCONCLUSIVE: It leads out of the cluster."
