# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program of the cache a container image stands for: the node agent runs programs, not images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from meshlab.parts import (
    HAPROXY_LIBRARIES,
    HTTPD_LIBRARIES,
    HTTPD_MODULES,
    PROM_LABEL_PROXIES,
    prom_label_proxy,
)

# The loader looks here on every architecture, without a cache of its own.
LIBRARIES = "/usr/lib"
ENVOY_BOOTSTRAP = "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"


def table(parts: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Return {image repository suffix[:tag]: {entrypoint, files, user}} for the agent's --images.

    *parts* maps the name of each part to its folder. ``files`` maps a path in the
    container to one on the host.
    """
    images = {
        "istio/proxyv2": image(
            ["/usr/local/bin/pilot-agent"],
            {
                "/usr/local/bin/pilot-agent": parts["istio"] / "pilot-agent",
                "/usr/local/bin/envoy": parts["envoy"] / "envoy",
                ENVOY_BOOTSTRAP: parts["istio"] / "envoy_bootstrap_tmpl.json",
            },
        ),
        "prometheus/prometheus": program("prometheus", parts["prometheus"]),
        "curlimages/curl": {"entrypoint": [], "files": {}, "user": "0"},
        "meshops.example/grafana-stand-in": program("grafana-stand-in", parts["agent"]),
        "library/nginx": image(
            ["/usr/sbin/nginx", "-g", "daemon off; pid /tmp/nginx.pid;", "-c", "/etc/nginx/nginx.conf"],
            {"/usr/sbin/nginx": parts["nginx"] / "nginx"},
        ),
        "library/haproxy": image(
            ["/usr/sbin/haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            {
                "/usr/sbin/haproxy": parts["haproxy"] / "haproxy",
                **beside(parts["haproxy"], HAPROXY_LIBRARIES, LIBRARIES),
            },
        ),
        "library/caddy": image(
            ["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile"],
            {"/usr/bin/caddy": parts["caddy"] / "caddy"},
        ),
        "library/httpd": image(
            ["/usr/sbin/apache2", "-DFOREGROUND", "-f", "/usr/local/apache2/conf/httpd.conf"],
            {
                "/usr/sbin/apache2": parts["httpd"] / "httpd",
                **beside(parts["httpd"], HTTPD_LIBRARIES, LIBRARIES),
                **beside(parts["httpd"], HTTPD_MODULES, "/usr/local/apache2/modules"),
            },
        ),
    }
    for version in PROM_LABEL_PROXIES:
        name = f"prometheuscommunity/prom-label-proxy:v{version}"
        images[name] = program("prom-label-proxy", parts[prom_label_proxy(version)])
    return images


def program(name: str, folder: Path) -> dict[str, Any]:
    """Return an image that holds one program in /bin."""
    return image([f"/bin/{name}"], {f"/bin/{name}": folder / name})


def beside(folder: Path, needed: Iterable[tuple[str, str, str]], inside: str) -> dict[str, Path]:
    """Return where the files that lie beside a program are shown in its container."""
    names = [path.rpartition("/")[2] for _package, _version, path in needed]
    return {f"{inside}/{name}": folder / name for name in names}


def image(entrypoint: list[str], files: Mapping[str, Path]) -> dict[str, Any]:
    return {"entrypoint": entrypoint, "files": {inside: str(host) for inside, host in files.items()}, "user": "0"}
