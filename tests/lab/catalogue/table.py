# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/truth-table.md: what is seen in each world that has a row number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from meshlab.api import Api
from meshlab.parts import PROM_LABEL_PROXIES, catalog
from meshlab.settings import LAB, Folders
from stage import scenario

from catalogue import run, witness
from catalogue.witness import Sight

PAGE = LAB.parents[1] / "docs" / "truth-table.md"
NOTES = Path(__file__).with_name("truth-table-notes.md")
HEAD = ("row", "world", "Grafana", "client2, right Host", "client2, foreign Host", "proxy, new connection")
SIDECARS = ("the proxy's sidecar", "Prometheus' sidecar")


def numbered() -> dict[str, str]:
    """The worlds with a row number, by it, in the order of the table."""
    names = [*scenario.names(), *scenario.group("catalogue")]
    rows = {row: name for name in names if (row := scenario.read(name).get("row"))}
    return dict(sorted(rows.items(), key=lambda entry: order(entry[0])))


def order(row: str) -> tuple[bool, int, str]:
    number = re.match(r"\d+", row)
    return number is None, int(number[0]) if number else 0, row


def measure(api: Api, places: Folders, rows: Mapping[str, str]) -> dict[str, Sight]:
    """Bring each world about and look at it. Raises LabError."""
    seen = {}
    for row, name in rows.items():
        # Old connections lie: of an earlier row none may be left to answer, whoever asks.
        run.establish(api, places, name, anew=(witness.SERVER,))
        seen[row] = witness.look(api, places, scenario.read(name)["before"]["answer"])
        print(f"row {row:12} {name}: Grafana sees {seen[row].grafana}", flush=True)
    return seen


def page(rows: Mapping[str, str], seen: Mapping[str, Sight], today: date) -> str:
    """The whole document."""
    heading = [*HEAD, *SIDECARS]
    body = [cells([row, scenario.read(rows[row])["description"], *sight]) for row, sight in seen.items()]
    return "\n".join(
        [
            "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
            "<!-- Written by `make truth-table`. Do not edit. -->",
            "# Truth table: what each change really does",
            "",
            f"Measured on the lab on {today.isoformat()}: {versions()}.",
            "",
            *NOTES.read_text(encoding="utf-8").partition("-->\n")[2].strip().splitlines(),
            "",
            cells(heading),
            cells(["---"] * len(heading)),
            *body,
            "",
        ]
    )


def cells(texts: Iterable[str]) -> str:
    """A line of a Markdown table."""
    escaped = (" ".join(text.split()).replace("|", r"\|").replace("<", "&lt;") for text in texts)
    return f"| {' | '.join(escaped)} |"


def versions() -> str:
    """The programs of the lab, as `name version`."""
    found = {part.name: part.version for part in catalog()}
    told = [
        f"istiod {found['istio']}",
        f"Envoy {found['envoy']}",
        f"Kubernetes {found['kubernetes']}",
        f"Prometheus {found['prometheus']}",
        f"prom-label-proxy {' and '.join(PROM_LABEL_PROXIES)}",
    ]
    return ", ".join(told)


def write(api: Api, places: Folders) -> None:
    """Measure every row and write the page. Raises LabError; then the page stays as it is."""
    rows = numbered()
    PAGE.write_text(page(rows, measure(api, places, rows), date.today()), encoding="utf-8")
    print(f"{PAGE.relative_to(LAB.parents[1])}: {len(rows)} rows")
