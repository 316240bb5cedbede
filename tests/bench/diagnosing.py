# SPDX-License-Identifier: GPL-3.0-or-later
"""One diagnosis of a live path beside what a person would run instead, as ratios of one run.

Needs the lab with the stack of tests/lab/stack in it. Run by `make bench` where a lab is up.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from timing import median

NAMESPACE = "monitoring"
KINDS = "services pods peerauthentications destinationrules sidecars authorizationpolicies requestauthentications"
DIAGNOSE = ["ansible", "localhost", "-m", "meshops.istio_remediation.query_path_info", "-a"]


def run(*command: str) -> str:
    """Run a command and return what it printed; a failure ends the benchmark."""
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout


def kubectl_reads() -> None:
    """The objects that decide, fetched one kind after the other as a person would."""
    for kind in KINDS.split():
        run("kubectl", "get", kind, "-n", NAMESPACE, "-o", "yaml")
    for kind in ("peerauthentications", "destinationrules", "sidecars", "authorizationpolicies"):
        run("kubectl", "get", kind, "-n", "istio-system", "-o", "yaml")
    run("kubectl", "get", "virtualservices,serviceentries", "-A", "-o", "yaml")
    run("kubectl", "get", "configmap", "istio", "-n", "istio-system", "-o", "yaml")
    for name in ("prom-label-proxy", "prometheus"):
        run("kubectl", "logs", "-n", NAMESPACE, f"deployment/{name}", "-c", "istio-proxy", "--tail=2000")


def main() -> None:
    """Print a row per way to look."""
    arguments = f"grafana_namespace={NAMESPACE}"
    printed = run(*DIAGNOSE, arguments)
    api = json.loads(printed[printed.index("{") :])["api"]
    ours = median(lambda: run(*DIAGNOSE, arguments))
    print(f"one diagnosis: {api['requests']} requests, {api['bytes']} bytes; verdict, evidence and fixes: 1.0")
    print(f"the same objects and logs by kubectl, nothing judged: {median(kubectl_reads) / ours:.1f}")
    istioctl = next(Path(os.environ["MESHOPS_LAB_CACHE"]).glob("istio-*/istioctl"), None)
    if istioctl is not None:
        analyze = median(lambda: run(str(istioctl), "analyze", "-n", NAMESPACE))
        print(f"istioctl analyze of the namespace, silent about this failure: {analyze / ours:.1f}")


if __name__ == "__main__":
    main()
