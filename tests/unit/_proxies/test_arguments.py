# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds that are told on the command line: what they send where, under which Host."""

from __future__ import annotations

from typing import Any

import pytest
from proxy_pods import PROMETHEUS, ask, container, relay

OAUTH2 = "quay.io/oauth2-proxy/oauth2-proxy:v7.14.0"
OPENSHIFT = "registry.redhat.io/openshift4/ose-oauth-proxy-rhel9:v4.18"
CONFIG = "/etc/oauth2_proxy/oauth2_proxy.cfg"
ALPHA = "/etc/alpha.yaml"
SECRET = {"valueFrom": {"secretKeyRef": {"name": "oauth", "key": "x"}}}

# name: image, arguments, what else the container has, expected upstream and Host
FOLLOWED: dict[str, tuple[str, list[str], dict[str, Any], str, str]] = {
    "oauth2-proxy": (OAUTH2, [f"--upstream={PROMETHEUS}"], {}, PROMETHEUS, "preserve"),
    "oauth2-proxy, two words": (OAUTH2, ["--upstream", PROMETHEUS], {}, PROMETHEUS, "preserve"),
    "oauth2-proxy from a mirror": (
        "registry.example:5000/mirror/bitnamilegacy/oauth2-proxy:7",
        [f"--upstream={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "preserve",
    ),
    "oauth2-proxy, rewriting": (
        OAUTH2,
        [f"--upstream={PROMETHEUS}", "--pass-host-header=false"],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "oauth2-proxy by variables": (
        OAUTH2,
        [],
        {"env": {"OAUTH2_PROXY_UPSTREAMS": PROMETHEUS, "OAUTH2_PROXY_PASS_HOST_HEADER": "false"}},
        PROMETHEUS,
        "upstream",
    ),
    "oauth2-proxy, secrets in variables": (
        OAUTH2,
        [f"--upstream={PROMETHEUS}"],
        {"env": {"OAUTH2_PROXY_CLIENT_SECRET": SECRET}},
        PROMETHEUS,
        "preserve",
    ),
    "oauth2-proxy, a flag over its file": (
        OAUTH2,
        [f"--config={CONFIG}", f"--upstream={PROMETHEUS}"],
        {"files": {CONFIG: 'email_domains = [ "*" ]\nupstreams = [ "file:///dev/null" ]\npass_host_header = false\n'}},
        PROMETHEUS,
        "upstream",
    ),
    "oauth2-proxy by file": (
        OAUTH2,
        ["--config", CONFIG],
        {"files": {CONFIG: f'# x\nclient_secret = "abcdef"\nupstreams = [\n  "{PROMETHEUS}/", # here\n]\n'}},
        f"{PROMETHEUS}/",
        "preserve",
    ),
    "oauth2-proxy, longest path": (
        OAUTH2,
        ["--upstream=http://ui/", f"--upstream={PROMETHEUS}/api/"],
        {},
        f"{PROMETHEUS}/api/",
        "preserve",
    ),
    "oauth2-proxy, $(NAME)": (
        OAUTH2,
        ["--upstream=$(UPSTREAM)"],
        {"env": {"UPSTREAM": PROMETHEUS}},
        PROMETHEUS,
        "preserve",
    ),
    "oauth2-proxy, alpha": (
        OAUTH2,
        [f"--alpha-config={ALPHA}"],
        {"files": {ALPHA: f"upstreamConfig:\n  upstreams:\n  - {{id: p, path: /, uri: '{PROMETHEUS}'}}\n"}},
        PROMETHEUS,
        "preserve",
    ),
    "oauth2-proxy, alpha, rewriting": (
        OAUTH2,
        [f"--alpha-config={ALPHA}"],
        {"files": {ALPHA: f"upstreamConfig: {{upstreams: [{{path: /, uri: '{PROMETHEUS}', passHostHeader: false}}]}}"}},
        PROMETHEUS,
        "upstream",
    ),
    "openshift oauth-proxy": (OPENSHIFT, [f"-upstream={PROMETHEUS}"], {}, PROMETHEUS, "preserve"),
    "openshift oauth-proxy, rewriting": (
        OPENSHIFT,
        [f"-upstream={PROMETHEUS}", "-pass-host-header=false"],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "kube-rbac-proxy": (
        "quay.io/brancz/kube-rbac-proxy:v0.19.0",
        [f"--upstream={PROMETHEUS}/", "--secure-listen-address=0.0.0.0:8080"],
        {},
        f"{PROMETHEUS}/",
        "preserve",
    ),
    "prom-authzed-proxy": (
        "quay.io/authzed/prom-authzed-proxy:v0.1.0",
        [f"--proxy-upstream-prometheus-addr={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "preserve",
    ),
    "observatorium": (
        "quay.io/observatorium/api:latest",
        [f"--metrics.read.endpoint={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "preserve",
    ),
    "Thanos query frontend": (
        "quay.io/thanos/thanos:v0.39.0",
        ["query-frontend", f"--query-frontend.downstream-url={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "Cortex query frontend": (
        "quay.io/cortexproject/cortex:v1.19.0",
        ["-target=query-frontend", f"-frontend.downstream-url={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "Thanos querier answers itself": (
        "quay.io/thanos/thanos:v0.39.0",
        ["query", "--endpoint=store:10901"],
        {},
        "",
        "preserve",
    ),
    "Prometheus answers itself": ("quay.io/prometheus/prometheus:v3.0.0", [], {}, "", "preserve"),
    "louketo-proxy": (
        "quay.io/louketo/louketo-proxy:1.0.0",
        [f"--upstream-url={PROMETHEUS}"],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "louketo-proxy, preserving": (
        "quay.io/louketo/louketo-proxy:1.0.0",
        [f"--upstream-url={PROMETHEUS}", "--preserve-host"],
        {},
        PROMETHEUS,
        "preserve",
    ),
    "louketo-proxy, a Host of its own": (
        "quay.io/keycloak/keycloak-gatekeeper:10.0.0",
        [f"--upstream-url={PROMETHEUS}", "--headers=Host=prometheus"],
        {},
        PROMETHEUS,
        "prometheus",
    ),
    "prometheus-multi-tenant-proxy": (
        "ghcr.io/k8spin/prometheus-multi-tenant-proxy:v1.14.0",
        ["run", "--prometheus-endpoint", PROMETHEUS],
        {},
        PROMETHEUS,
        "upstream",
    ),
    "trickster": ("docker.io/trickstercache/trickster:2.0.0", ["-origin-url", PROMETHEUS], {}, PROMETHEUS, "upstream"),
}

# name: image, arguments, what else the container has, what the problem names
UNKNOWN: dict[str, tuple[str, list[str], dict[str, Any], str]] = {
    "oauth2-proxy without upstream": (OAUTH2, [], {}, "none of its upstreams"),
    "oauth2-proxy, static answers alone": (OAUTH2, ["--upstream=static://200"], {}, "none of its upstreams"),
    "oauth2-proxy, its file in a Secret": (OAUTH2, [f"--config={CONFIG}", f"--upstream={PROMETHEUS}"], {}, CONFIG),
    "oauth2-proxy, a variable from a Secret": (
        OAUTH2,
        [f"--upstream={PROMETHEUS}"],
        {"env": {"OAUTH2_PROXY_PASS_HOST_HEADER": SECRET}},
        "OAUTH2_PROXY_PASS_HOST_HEADER",
    ),
    "oauth2-proxy, variables from a ConfigMap": (
        OAUTH2,
        [f"--upstream={PROMETHEUS}"],
        {"envFrom": [{"configMapRef": {"name": "settings"}}]},
        "ConfigMap settings",
    ),
    "oauth2-proxy, a line that is no TOML": (
        OAUTH2,
        [f"--config={CONFIG}"],
        {"files": {CONFIG: "{{ if x }}\n"}},
        "not understood",
    ),
    "oauth2-proxy, alpha with a rewrite": (
        OAUTH2,
        [f"--alpha-config={ALPHA}"],
        {"files": {ALPHA: "upstreamConfig: {upstreams: [{path: ^/(.*)$, uri: 'http://x', rewriteTarget: /$1}]}"}},
        "regular expression",
    ),
    "oauth2-proxy, alpha that is no YAML": (
        OAUTH2,
        [f"--alpha-config={ALPHA}"],
        {"files": {ALPHA: "a: [b"}},
        "no YAML",
    ),
    "kube-rbac-proxy without upstream": ("quay.io/brancz/kube-rbac-proxy:v0.19.0", [], {}, "--upstream"),
    "louketo-proxy without upstream": ("quay.io/louketo/louketo-proxy:1.0.0", [], {}, "upstream-url"),
    "ingress-nginx": ("registry.k8s.io/ingress-nginx/controller:v1.12.0", [], {}, "Ingress objects"),
    "traefik": ("docker.io/library/traefik:v3.2", [], {}, "IngressRoute"),
    "kong": ("docker.io/library/kong:3.8", [], {}, "database"),
    "authentik": ("ghcr.io/goauthentik/proxy:2026.8", [], {}, "versions differ"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_proxy_is_followed(name: str) -> None:
    image, args, more, upstream, host = FOLLOWED[name]
    found = relay(image, args, **more)
    assert (found.upstream, found.host, found.problem) == (upstream, host, "")


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_is_a_problem_and_no_guess(name: str) -> None:
    image, args, more, named = UNKNOWN[name]
    found = relay(image, args, **more)
    assert named in found.problem
    assert not (found.upstream and found.host)


@pytest.mark.parametrize(
    "image", ["docker.io/library/redis:7", "quay.io/thanos/thanos:v0.39.0", "example/nginx-exporter:1"]
)
def test_other_programs_are_not_taken_for_a_proxy(image: str) -> None:
    assert ask([container(image, ["receive"])], {}) is None


def test_of_two_containers_the_one_that_declares_the_port_answers() -> None:
    gate = container(OAUTH2, [f"--upstream={PROMETHEUS}"], port=4180)
    server = container("quay.io/prometheus/prometheus:v3.0.0", port=9090)
    first, second = ask([gate, server], {}, port=4180), ask([gate, server], {}, port=9090)
    assert first is not None
    assert second is not None
    assert (first.kind, second.kind) == ("oauth2-proxy", "prometheus")
    assert ask([gate, server], {}, port=1234) is None
