# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m policies``: is what we say of AuthorizationPolicies on TCP ports what Envoy does? Needs a running lab."""

from __future__ import annotations

import argparse
import sys
import time

import yaml
from meshlab.api import Api
from meshlab.errors import LabError
from meshlab.settings import folders

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import group_by_workload
from policies.generator import policy
from policies.judge import judge
from policies.run import CALLERS, Bench


def main() -> int:
    """Return 0 where every prediction came true, 1 where one did not, 2 where the lab did not play along."""
    parser = argparse.ArgumentParser(prog="policies", description=__doc__)
    parser.add_argument("--policies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first policy; the others follow")
    chosen = parser.parse_args()
    wanted = [policy(seed) for seed in range(chosen.seed, chosen.seed + chosen.policies)]
    places = folders()
    bench = Bench(Api(places), places)
    began = time.monotonic()

    def told(count: int) -> None:
        if count % 20 == 0 or count == len(wanted):
            print(f"   {count} of {len(wanted)} after {time.monotonic() - began:.0f} s", flush=True)

    try:
        measured = list(bench.measure(wanted, told))
        server = group_by_workload(bench.servers())[0]
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    results = [judge(entry, server) for entry in measured]
    for obj, result in zip(wanted, results, strict=True):
        if result.wrong:
            print(yaml.safe_dump({"spec": obj["spec"], "wrong": result.wrong}, sort_keys=False))
    decided, undecided = (sum(getattr(result, name) for result in results) for name in ("decided", "open"))
    failed = sum(1 for result in results if result.wrong)
    print(
        f"== {len(results)} policies, {len(CALLERS)} callers, asked on HTTP and on TCP: {decided} predictions, "
        f"{undecided} left open; {failed} policies did otherwise than was said"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
