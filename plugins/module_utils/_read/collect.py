# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a judge on what is known, reads what it still needs, and runs it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    NotReadError,
    Snapshot,
)

T = TypeVar("T")

# A path of six hops takes about three rounds per hop; more means that the judge asks in circles.
MAX_ROUNDS = 60


class Reader(Protocol):
    """Who answers needs: a live cluster, or a test."""

    def read(self, need: Need) -> Answer:
        """Answer one need; raise a typed error where the run cannot go on."""


def collect(reader: Reader, evaluate: Callable[[Snapshot], T], snapshot: Snapshot | None = None) -> tuple[T, Snapshot]:
    """The judge's result, and the snapshot that it rests on.

    evaluate: pure; raises NotReadError while something is missing. Raises RuntimeError where the judge asks in circles,
    and whatever the reader or the judge raise.
    """
    known = snapshot or Snapshot()
    for _round in range(MAX_ROUNDS):
        try:
            return evaluate(known), known
        except NotReadError as missing:
            known = known.extended({need.key: reader.read(need) for need in missing.needs})
    raise RuntimeError(f"The judge still asks after {MAX_ROUNDS} rounds; known: {', '.join(known.answers())}")
