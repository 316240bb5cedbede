# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every linter, show what each one objects to, and end with 0 only if none did.

One linter's objection does not stop the next: a developer sees everything in one go.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import agent
import tree
from steps import ROOT, TOOLS, AbsentError, call, environment, step

ROOMS = "ansible_collections.meshops.istio_remediation.plugins.module_utils"
PURE_PACKAGES = ("_model", "_proxies", "_verdict", "_plan")
PURE_MODULES = ("_diagnose", "_prove.judge", "_prove.observation", "_redact", "_result")


def tool(*argv: str, cwd: Path = ROOT, **extra: str) -> Callable[[], int]:
    """Return an action that runs a tool of the virtual environment."""
    return lambda: call([str(TOOLS / argv[0]), *argv[1:]], cwd=cwd, env=environment(**extra))


def pure_rooms() -> int:
    """Type-check the rooms that hold no I/O, strictly, under the names that they have when they are installed."""
    base = ROOT / "plugins" / "module_utils"
    for room in [*PURE_PACKAGES, *(module.replace(".", "/") + ".py" for module in PURE_MODULES)]:
        if not (base / room).exists():
            raise AbsentError(f"plugins/module_utils/{room} is not there, so its types cannot be checked")
    targets = [argument for room in PURE_PACKAGES for argument in ("--package", f"{ROOMS}.{room}")]
    targets += [argument for module in PURE_MODULES for argument in ("--module", f"{ROOMS}.{module}")]
    return tool("mypy", "--no-error-summary", *targets, MYPYPATH=str(tree.live()))()


def checks() -> list[tuple[str, Callable[[], int]]]:
    """Return title and action of every linter, quick ones first."""
    collections = str(tree.live())
    found: list[tuple[str, Callable[[], int]]] = [
        ("ruff check", tool("ruff", "check", "--quiet", "--output-format", "concise", ".")),
        ("ruff format", tool("ruff", "format", "--check", ".")),
        ("architecture laws", tool("python", "tests/tools/architecture.py")),
        ("rule pages", tool("python", "tests/tools/rule_docs.py")),
        ("mypy --strict on the pure rooms", pure_rooms),
        ("yamllint", tool("yamllint", "--strict", ".")),
        ("changelog", tool("antsibull-changelog", "lint")),
        (
            "documentation",
            tool(
                "antsibull-docs",
                "lint-collection-docs",
                "--plugin-docs",
                "--validate-collection-refs",
                "all",
                ".",
                ANSIBLE_COLLECTIONS_PATH=collections,
            ),
        ),
        (
            "ansible-lint, profile production",
            tool("ansible-lint", "-q", "--nocolor", ANSIBLE_COLLECTIONS_PATH=collections),
        ),
    ]
    if agent.go():
        found.append(("go vet and gofmt", agent.check))
    else:
        print(f"   NOT CHECKED: the lab's Go sources, {agent.WHERE_FROM}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Run the linters whose title contains one of the arguments, or all of them; return the exit code."""
    chosen = [(name, action) for name, action in checks() if not arguments or any(word in name for word in arguments)]
    if not chosen:
        titles = ", ".join(title for title, _action in checks())
        sys.exit(f"error: no linter is called {' or '.join(arguments)}; there are: {titles}")
    failed = [name for name, action in chosen if not step(f"Lint: {name}", action)]
    if failed:
        print(f"== Lint: {len(failed)} of {len(chosen)} FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
