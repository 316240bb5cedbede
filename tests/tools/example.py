# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/examples/strict.snapshot.json anew: what a diagnosis sees on the running lab while queries die."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab import access
from steps import ROOT, TOOLS, AbsentError, call, step

EXAMPLE = ROOT / "docs" / "examples" / "strict.snapshot.json"
# Envoy writes its log every second.
FLUSHED = 2.0
QUERIES = 3


def main() -> int:
    """Return 0 only if the example was written. Raises AbsentError where no lab is up."""
    env = access()
    stage = partial(call, env={**env, "PYTHONPATH": str(ROOT / "tests" / "lab")})
    python = str(TOOLS / "python")
    asked = f"grafana_namespace=monitoring log_seconds=60 save_snapshot={EXAMPLE}"
    steps = (
        ("Example: a Grafana whose queries die", lambda: stage([python, "-m", "stage", "set"])),
        ("Example: queries", lambda: queries(partial(stage, [python, "-m", "stage", "ask"]))),
        (
            "Example: diagnose and save",
            lambda: call(
                [str(TOOLS / "ansible"), "localhost", "-m", "meshops.istio_remediation.query_path_info", "-a", asked],
                env=env,
            ),
        ),
    )
    if not all(step(title, action) for title, action in steps):
        return 1
    legible(EXAMPLE)
    return 0


def queries(ask: Callable[[], int]) -> int:
    """Ask until the logs have something to tell; return the exit code of the first that failed, else 0."""
    failed = next(filter(None, (ask() for _number in range(QUERIES))), 0)
    time.sleep(FLUSHED)
    return failed


def legible(path: Path) -> None:
    """A line for each value, so that a reviewer can see what ships."""
    saved = json.loads(path.read_text(encoding="utf-8"))
    path.chmod(0o644)
    path.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AbsentError as absent:
        sys.exit(f"error: {absent}")
