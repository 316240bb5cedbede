# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep ``docs/rules`` equal to what the rules say about themselves.

Without arguments: name every page that is missing, outdated or left over, and end with 1 if there is one.
With ``--write``: write the pages.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tree
from steps import ROOT

PAGES = Path("docs/rules")
CATALOG = "ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.catalog"
LICENSE = "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->"
HEADINGS = (
    ("pattern", "What it looks like"),
    ("why", "Why it breaks"),
    ("evidence", "What to look for"),
    ("fix", "What cures it, and what does not"),
    ("source", "Sources"),
)


def render(rule: Any, source: str) -> str:
    """Return the page of one rule; ``source`` is the path of its file, relative to the checkout."""
    parts = [
        f"{LICENSE}\n<!-- Written by `make docs` from {source}: edit that. -->",
        f"# {rule.code}: {rule.title}",
    ]
    parts += [f"## {heading}\n\n{getattr(rule, field).strip()}" for field, heading in HEADINGS]
    return "\n\n".join([*parts, f"Rule: [{Path(source).name}](../../{source})"]) + "\n"


def index(rules: list[Any]) -> str:
    """Return the page that lists all rules."""
    head = (
        f"{LICENSE}\n<!-- Written by `make docs` from the rules. -->\n\n"
        "# Rules\n\nCodes are stable and never reused.\n\n| Code | Pattern |\n|---|---|\n"
    )
    return head + "".join(f"| [{rule.code}]({rule.code}.md) | {rule.title} |\n" for rule in rules)


def pages(modules: list[ModuleType]) -> dict[str, str]:
    """Return file name → text of every page in ``docs/rules`` for the rule files ``modules``."""
    texts = {"README.md": index([module.RULE for module in modules])}
    for module in modules:
        file = module.__name__.rpartition(".")[2]
        texts[f"{module.RULE.code}.md"] = render(module.RULE, f"plugins/module_utils/_verdict/rules/{file}.py")
    return texts


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return one sentence for every page that is missing, outdated or belongs to no rule."""
    return [
        *(f"{PAGES / name} is missing" for name in sorted(wanted.keys() - found.keys())),
        *(
            f"{PAGES / name} is outdated"
            for name in sorted(wanted.keys() & found.keys())
            if wanted[name] != found[name]
        ),
        *(f"{PAGES / name} belongs to no rule" for name in sorted(found.keys() - wanted.keys())),
    ]


def rule_modules() -> list[ModuleType]:
    """Return the rule files that the catalogue lists.

    :raises ImportError: the catalogue, or a rule that it lists, is not there.
    """
    sys.path.insert(0, str(tree.live()))
    return list(importlib.import_module(CATALOG).RULES)


def found_pages() -> dict[str, str]:
    """Return file name → text of the pages that are there."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted((ROOT / PAGES).glob("*.md"))}


def main() -> None:
    """Check the pages, or write them."""
    try:
        wanted = pages(rule_modules())
    except ImportError as error:
        sys.exit(f"error: the catalogue of rules cannot be read: {error}")
    folder = ROOT / PAGES
    if sys.argv[1:] == ["--write"]:
        folder.mkdir(parents=True, exist_ok=True)
        for name in found_pages().keys() - wanted.keys():
            (folder / name).unlink()
        for name, text in wanted.items():
            (folder / name).write_text(text, encoding="utf-8")
        return
    problems = differences(wanted, found_pages())
    for problem in problems:
        print(f"{problem}; run make docs")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
