# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds that are configured by YAML or JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxy_pods import PROMETHEUS, relay

ENVOY = "docker.io/envoyproxy/envoy:v1.34.1"
VMAUTH = "docker.io/victoriametrics/vmauth:v1.110.0"
POMERIUM = "docker.io/pomerium/pomerium:v0.28.0"
MULTENA = "ghcr.io/gepaplexx/multena-proxy:v0.6.8"
PROMXY = "quay.io/jacksontj/promxy:v0.0.93"
TRICKSTER = "docker.io/trickstercache/trickster:2.0.0"
LOUKETO = "quay.io/louketo/louketo-proxy:1.0.0"
MANAGER = "HttpConnectionManager"
URL = PROMETHEUS.partition("//")[2]


def envoy(route: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **top: Any) -> str:
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3." + MANAGER,
        "route_config": {
            "virtual_hosts": [
                {"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "prom", **(route or {})}}]},
            ]
        },
    }
    listener = {
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
        "filter_chains": [{"filters": [{"typed_config": manager}]}],
    }
    endpoint = {"address": {"socket_address": {"address": "prometheus.monitoring.svc", "port_value": 9090}}}
    prom = {
        "name": "prom",
        "type": "STRICT_DNS",
        "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        **(cluster or {}),
    }
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [prom]}, **top})


# name: image, arguments, file's path, its text, expected upstream, Host
FOLLOWED: dict[str, tuple[str, list[str], str, str, str, str]] = {
    "Envoy": (ENVOY, [], "/etc/envoy/envoy.yaml", envoy(), PROMETHEUS, "preserve"),
    "Envoy, another file": (ENVOY, ["-c", "/e.yaml"], "/e.yaml", envoy(), PROMETHEUS, "preserve"),
    "Envoy, a literal": (
        ENVOY,
        [],
        "/etc/envoy/envoy.yaml",
        envoy({"host_rewrite_literal": "prometheus"}),
        PROMETHEUS,
        "prometheus",
    ),
    "Envoy, automatic": (
        ENVOY,
        [],
        "/etc/envoy/envoy.yaml",
        envoy({"auto_host_rewrite": True}),
        PROMETHEUS,
        "prometheus.monitoring.svc",
    ),
    "Envoy, automatic without effect": (
        ENVOY,
        [],
        "/etc/envoy/envoy.yaml",
        envoy({"auto_host_rewrite": True}, {"type": "STATIC"}),
        PROMETHEUS,
        "preserve",
    ),
    "vmauth": (
        VMAUTH,
        ["-auth.config=/a.yaml"],
        "/a.yaml",
        f"unauthorized_user: {{url_prefix: '{PROMETHEUS}'}}",
        PROMETHEUS,
        "upstream",
    ),
    "vmauth, preserving": (
        VMAUTH,
        ["-auth.config=/a.yaml"],
        "/a.yaml",
        f"users: [{{username: a, password: b, url_prefix: '{PROMETHEUS}', keep_original_host: true}}]",
        PROMETHEUS,
        "preserve",
    ),
    "vmauth, a Host of its own": (
        VMAUTH,
        ["-auth.config=/a.yaml"],
        "/a.yaml",
        f"users: [{{url_map: [{{src_paths: [/api/.*], url_prefix: ['{PROMETHEUS}']}}], headers: ['Host: prom']}}]",
        PROMETHEUS,
        "prom",
    ),
    "Pomerium": (
        POMERIUM,
        [],
        "/pomerium/config.yaml",
        f"routes: [{{from: 'https://x.example', to: '{PROMETHEUS}'}}]",
        PROMETHEUS,
        "upstream",
    ),
    "Pomerium, preserving": (
        POMERIUM,
        [],
        "/pomerium/config.yaml",
        f"routes: [{{to: ['{PROMETHEUS}'], preserve_host_header: true}}]",
        PROMETHEUS,
        "preserve",
    ),
    "multena-proxy": (
        MULTENA,
        [],
        "/etc/config/config.yaml",
        f"thanos: {{url: '{PROMETHEUS}', tenant_label: namespace}}",
        PROMETHEUS,
        "preserve",
    ),
    "promxy": (
        PROMXY,
        ["--config=/p.yaml"],
        "/p.yaml",
        f"promxy: {{server_groups: [{{static_configs: [{{targets: ['{URL}']}}]}}]}}",
        PROMETHEUS,
        "upstream",
    ),
    "trickster": (
        TRICKSTER,
        [],
        "/etc/trickster/trickster.yaml",
        f"backends: {{default: {{provider: prometheus, origin_url: '{PROMETHEUS}'}}}}",
        PROMETHEUS,
        "upstream",
    ),
    "louketo-proxy": (
        LOUKETO,
        ["--config=/l.yaml"],
        "/l.yaml",
        f"upstream-url: {PROMETHEUS}\npreserve-host: true\n",
        PROMETHEUS,
        "preserve",
    ),
}

# name: image, arguments, file's path, its text, what the problem names
UNKNOWN: dict[str, tuple[str, list[str], str, str, str]] = {
    "Envoy, xDS": (ENVOY, [], "/etc/envoy/envoy.yaml", envoy(dynamic_resources={"cds_config": {}}), "cds_config"),
    "Envoy, weights": (ENVOY, [], "/etc/envoy/envoy.yaml", envoy({"weighted_clusters": {}}), "weighted_clusters"),
    "Envoy, EDS": (ENVOY, [], "/etc/envoy/envoy.yaml", envoy({}, {"load_assignment": {}}), "0 endpoints"),
    "Envoy, no file": (ENVOY, [], "/other.yaml", "", "/etc/envoy/envoy.yaml"),
    "Envoy, another port": (
        ENVOY,
        [],
        "/etc/envoy/envoy.yaml",
        envoy().replace("8080", "8081"),
        "0 routes",
    ),
    "vmauth, a file in a Secret": (VMAUTH, ["-auth.config=/a.yaml"], "/b.yaml", "", "/a.yaml"),
    "vmauth without a file": (VMAUTH, [], "/b.yaml", "", "-auth.config"),
    "vmauth, pods": (
        VMAUTH,
        ["-auth.config=/a.yaml"],
        "/a.yaml",
        "unauthorized_user: {url_prefix: http://x, discover_backend_ips: true}",
        "discover_backend_ips",
    ),
    "vmauth, two servers": (
        VMAUTH,
        ["-auth.config=/a.yaml"],
        "/a.yaml",
        "unauthorized_user: {url_prefix: [http://x, http://y]}",
        "2 places",
    ),
    "Pomerium, two routes": (
        POMERIUM,
        [],
        "/pomerium/config.yaml",
        "routes: [{to: http://x}, {to: http://y}]",
        "2 places",
    ),
    "Pomerium, a header": (
        POMERIUM,
        [],
        "/pomerium/config.yaml",
        "routes: [{to: http://x, host_rewrite_header: X}]",
        "host_rewrite_header",
    ),
    "multena-proxy, Loki alone": (MULTENA, [], "/etc/config/config.yaml", "loki: {url: http://x}", "thanos.url"),
    "promxy, discovery": (
        PROMXY,
        ["--config=/p.yaml"],
        "/p.yaml",
        "promxy: {server_groups: [{kubernetes_sd_configs: [{role: pod}]}]}",
        "pod addresses",
    ),
    "promxy, two servers": (
        PROMXY,
        ["--config=/p.yaml"],
        "/p.yaml",
        "promxy: {server_groups: [{static_configs: [{targets: [a, b]}]}]}",
        "2 servers",
    ),
    "trickster 1": (TRICKSTER, ["-config", "/t.conf"], "/t.conf", "", "TOML"),
    "trickster, a Host of its own": (
        TRICKSTER,
        [],
        "/etc/trickster/trickster.yaml",
        "backends: {a: {origin_url: http://x, paths: {p: {request_headers: {Host: y}}}}}",
        "Host of its own",
    ),
    "louketo-proxy, no YAML": (LOUKETO, ["--config=/l.yaml"], "/l.yaml", "a: [b", "no YAML"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_document_is_followed(name: str) -> None:
    image, args, path, text, upstream, host = FOLLOWED[name]
    found = relay(image, args, files={path: text})
    assert (found.problem, found.upstream, found.host) == ("", upstream, host)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_a_document_does_not_say_is_not_guessed(name: str) -> None:
    image, args, path, text, named = UNKNOWN[name]
    found = relay(image, args, files={path: text})
    assert named in found.problem
    assert not (found.upstream and found.host)


def test_a_key_that_is_no_yaml_beside_it_does_no_harm() -> None:
    text = f"thanos: {{url: '{PROMETHEUS}'}}"
    found = relay(MULTENA, files={"/etc/config/other.conf": "a: [b", "/etc/config/config.yaml": text})
    assert found.upstream == PROMETHEUS
