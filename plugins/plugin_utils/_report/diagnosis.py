# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about a diagnosis: verdict, path, evidence, fixes, what to type next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report import at_owner, command, path
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Command,
    Heading,
    Item,
    Sentence,
)

Remedy = Mapping[str, Any]

_WITNESSES = {"envoy": "Envoy's own configuration", "logs": "the sidecars' access logs"}
_CERTAINTY = {
    "proved": ("agrees", "shown by {}"),
    "predicted": ("silent", "from the configuration; {} say nothing about it"),
    "contradicted": ("differs", "the configuration, by {}"),
}


def report(diagnosis: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    """Return the report on a diagnosis.

    :param diagnosis: what ``query_path_info`` returns (docs/contract.md).
    :param question: variables that the playbooks take, as the user gave them; they go into the next command.
    """
    verdict = diagnosis["verdict"]
    blocks: list[Block] = [headline(verdict)]
    if diagnosis["hops"]:
        blocks += [Heading("Path"), path.drawing(diagnosis["hops"])]
    if verdict["under"]:
        blocks.append(Heading("What the same hop does under each mode of the server"))
        blocks += [Item(f"{mode}: {text}") for mode, text in verdict["under"].items()]
    blocks += _evidence(verdict, diagnosis["findings"])
    if diagnosis["unknown"]:
        blocks += [Heading("Not known"), *(Item(text) for text in diagnosis["unknown"])]
    blocks += _fixes(diagnosis["remedies"])
    return [*blocks, *_next(diagnosis, question)]


def overview(several: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    """Return the report on several paths: a line for each, the worst first, then the worst as a whole."""
    worst = several["paths"][0]
    blocks: list[Block] = [
        headline(several["verdict"]),
        Heading(f"{len(several['paths'])} data sources, the worst first"),
    ]
    blocks += [Item(f"{_handle(path)}: {_headline(path['verdict'])}") for path in several["paths"]]
    blocks += [Item(f"there may be more: {text}") for text in several["unknown"]]
    blocks.append(Heading(f"Data source {_handle(worst)}"))
    return [*blocks, *report(worst, {**question, "datasource_uid": _handle(worst)})]


def _handle(path: Mapping[str, Any]) -> str:
    return str(path["datasource"]["uid"] or path["datasource"]["name"])


def headline(verdict: Mapping[str, Any]) -> Sentence:
    """Return the verdict in one sentence."""
    return Sentence(_headline(verdict), strong=True)


def _headline(verdict: Mapping[str, Any]) -> str:
    status = str(verdict["status"]).replace("_", " ").upper()
    code = f" {verdict['code']}" if verdict["code"] else ""
    return f"{status}{code}: {verdict['summary']}"


def _heard(verdict: Mapping[str, Any]) -> str:
    """Return how sure the verdict is, and by which witnesses."""
    stance, text = _CERTAINTY.get(verdict["certainty"], ("", "no witness was heard"))
    heard = [witness["name"] for witness in verdict.get("witnesses", ()) if witness["stance"] == stance]
    witnesses = " and ".join(_WITNESSES[name] for name in heard if name in _WITNESSES) or "the witnesses"
    return f"{verdict['certainty']}: {text.format(witnesses)}"


def _evidence(verdict: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> list[Block]:
    blocks: list[Block] = [Heading("Evidence"), Item(_heard(verdict))]
    for position, finding in enumerate(findings):
        # The first finding is the verdict; its summary has been said.
        said = "" if position == 0 else f": {finding['summary']}"
        blocks.append(Item(f"{finding['code']} {finding['status']}, {finding['where']}{said}"))
        blocks += [Item(line, level=1) for line in finding["evidence"]]
    return blocks


def _fixes(remedies: Sequence[Remedy]) -> list[Block]:
    offered = [remedy for remedy in remedies if remedy["applicable"]]
    refused = [remedy for remedy in remedies if not remedy["applicable"]]
    blocks: list[Block] = []
    if offered:
        blocks.append(Heading("Fixes that work here, least harm first"))
        for position, remedy in enumerate(offered, start=1):
            blocks.append(Item(f"{name(remedy)}: {remedy['reason']}", mark=f"{position}."))
            blocks += [Item(cost(effect), level=1) for effect in remedy["effects"]]
    if refused:
        blocks.append(Heading("Fixes that are refused here"))
        blocks += [Item(f"{name(remedy)}: {remedy['reason']}") for remedy in refused]
        blocks += at_owner.blocks(entry for remedy in refused for entry in remedy["at_owner"])
    return blocks


def name(remedy: Remedy) -> str:
    """Return the remedy as people ask for it."""
    return f"{remedy['strategy']} ({remedy['protocol']})" if remedy["protocol"] else str(remedy["strategy"])


def cost(effect: Mapping[str, Any]) -> str:
    """Return what an effect means, and the name by which it is accepted if it needs that."""
    return f"NEEDS CONSENT to {effect['token']}: {effect['text']}" if effect["needs_consent"] else str(effect["text"])


def chosen(remedy: Remedy) -> dict[str, Any]:
    """Return the playbook variables that ask for this remedy and for no other plan."""
    return {
        "remedy": remedy["strategy"],
        "protocol": remedy["protocol"],
        "accept_effects": list(remedy["consent_needed"]),
        "plan_hash": remedy["hash"],
    }


def _next(diagnosis: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    status = diagnosis["verdict"]["status"]
    offered = [remedy for remedy in diagnosis["remedies"] if remedy["applicable"]]
    if status == "healthy":
        return [Heading("Next: prove it with a query through the mesh"), _command("verify", question)]
    if status == "inconclusive":
        return [Heading("Next: clear up what is not known, then diagnose again"), _command("diagnose", question)]
    if not offered:
        return [
            Heading("Next: no fix works here; correct the cause, then diagnose again"),
            _command("diagnose", question),
        ]
    best = offered[0]
    consent = "; this accepts what NEEDS CONSENT above" if best["consent_needed"] else ""
    title = f"Next: apply {name(best)} (with --check --diff to see what it would change{consent})"
    return [Heading(title), _command("remediate", {**question, **chosen(best)})]


def _command(playbook: str, variables: Mapping[str, Any]) -> Command:
    return Command(command.playbook(playbook, variables))
