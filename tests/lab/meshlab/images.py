# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program of the cache a container image stands for: the node agent runs programs, not images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshlab.parts import PROM_LABEL_PROXIES, prom_label_proxy

ENVOY_BOOTSTRAP = "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"


def table(parts: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return {image repository suffix[:tag]: {entrypoint, files, user}} for the agent's --images.

    *parts* maps the name of each part to its folder. ``files`` maps a path in the
    container to one on the host.
    """
    images = {
        "istio/proxyv2": image(
            "/usr/local/bin/pilot-agent",
            {
                "/usr/local/bin/pilot-agent": parts["istio"] / "pilot-agent",
                "/usr/local/bin/envoy": parts["envoy"] / "envoy",
                ENVOY_BOOTSTRAP: parts["istio"] / "envoy_bootstrap_tmpl.json",
            },
        ),
        "prometheus/prometheus": program("prometheus", parts["prometheus"]),
        "curlimages/curl": {"entrypoint": [], "files": {}, "user": "0"},
        "meshops.example/grafana-stand-in": program("grafana-stand-in", parts["agent"]),
    }
    for version in PROM_LABEL_PROXIES:
        name = f"prometheuscommunity/prom-label-proxy:v{version}"
        images[name] = program("prom-label-proxy", parts[prom_label_proxy(version)])
    return images


def program(name: str, folder: Path) -> dict[str, Any]:
    """Return an image that holds one program in /bin."""
    return image(f"/bin/{name}", {f"/bin/{name}": folder / name})


def image(entrypoint: str, files: Mapping[str, Path]) -> dict[str, Any]:
    return {"entrypoint": [entrypoint], "files": {inside: str(host) for inside, host in files.items()}, "user": "0"}
