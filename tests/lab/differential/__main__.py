# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m differential``: is the collection's model of Istio right? Needs a running lab."""

from __future__ import annotations

import argparse
import sys
import time

import yaml
from meshlab.errors import LabError

from differential.run import Disagreement, Tally, run


def main() -> int:
    """Return 0 where model and Envoy agree on every hop, 1 where they do not, 2 where the lab did not play along."""
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--meshes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first mesh; the others follow")
    parser.add_argument("--slots", type=int, default=3, help="meshes that live side by side, two sidecars each")
    parser.add_argument("--shrink", type=int, default=3, help="disagreements that are made small")
    chosen = parser.parse_args()
    began = time.monotonic()
    try:
        tally = run(range(chosen.seed, chosen.seed + chosen.meshes), chosen.slots, chosen.shrink, _told)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for disagreement in tally.disagreements[: chosen.shrink]:
        print(scenario(disagreement))
    print(summary(tally, time.monotonic() - began))
    return 1 if tally.disagreements else 0


def _told(text: str) -> None:
    print(f"   {text}", flush=True)


def scenario(disagreement: Disagreement) -> str:
    """A mesh that both sides see differently, as YAML, and what each says."""
    lines = [f"# seed {disagreement.seed}"]
    for entry in disagreement.compared:
        if not entry.agrees:
            lines += [f"# {entry.what}", f"#   model: {entry.model}", f"#   Envoy: {entry.envoy}"]
    return "\n".join([*lines, yaml.safe_dump_all(disagreement.mesh, sort_keys=False)])


def summary(tally: Tally, seconds: float) -> str:
    """The figures, in a few lines."""
    decided = tally.compared - tally.undecided
    share = 100 * tally.agreed / decided if decided else 0.0
    kinds = ", ".join(f"{kind or 'none'} {count}" for kind, count in tally.kinds.most_common())
    return (
        f"== {tally.meshes} meshes, {tally.compared} hops and server ports compared in {seconds:.0f} s\n"
        f"   model and Envoy agree on {tally.agreed} of {decided} ({share:.2f} %); "
        f"{tally.undecided} the model calls unknown; {len(tally.disagreements)} meshes disagree\n"
        f"   what Envoy did: {kinds}"
    )


if __name__ == "__main__":
    sys.exit(main())
