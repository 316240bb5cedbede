# SPDX-License-Identifier: GPL-3.0-or-later
"""Caddy: Caddyfile, JSON and command line; which reverse_proxy takes a query, under which Host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from proxy_pods import PROMETHEUS, relay

IMAGE = "docker.io/library/caddy:2.8.4-alpine"
FILE = "/etc/caddy/Caddyfile"
UP = "prometheus.monitoring.svc:9090"
UPSTREAM_HOST = "header_up Host {upstream_hostport}"

# name: Caddyfile, expected upstream, Host
FOLLOWED: dict[str, tuple[str, str, str]] = {
    "as Caddy does on its own": (f":8080 {{\n  reverse_proxy {UP}\n}}\n", PROMETHEUS, "preserve"),
    "one site without braces": (f":8080\nreverse_proxy {UP}\n", PROMETHEUS, "preserve"),
    "the upstream's own name": (f":8080 {{\n reverse_proxy {UP} {{\n {UPSTREAM_HOST}\n }}\n}}", PROMETHEUS, "upstream"),
    "its long name": (
        f":8080 {{\n reverse_proxy {UP} {{\n header_up Host {{http.reverse_proxy.upstream.hostport}}\n }}\n}}",
        PROMETHEUS,
        "upstream",
    ),
    "a literal": (f":8080 {{\n reverse_proxy {UP} {{\n header_up host prometheus\n }}\n}}", PROMETHEUS, "prometheus"),
    "the incoming Host, said": (
        f":8080 {{\n reverse_proxy {UP} {{\n header_up Host {{host}}\n }}\n}}",
        PROMETHEUS,
        "preserve",
    ),
    "global options and a snippet": (
        "{\n admin off\n auto_https off\n}\n(prom) {\n reverse_proxy {\n to http://prometheus.monitoring.svc:9090\n "
        + UPSTREAM_HOST
        + "\n }\n}\nhttp://:8080 {\n import prom\n}\n",
        PROMETHEUS,
        "upstream",
    ),
    "the longest path": (
        f":8080 {{\n handle /api/* {{\n  reverse_proxy {UP}\n }}\n handle {{\n  reverse_proxy ui:80\n }}\n}}",
        PROMETHEUS,
        "preserve",
    ),
    "another path": (
        f":8080 {{\n respond /healthz 200\n reverse_proxy /x* ui:80\n reverse_proxy {UP}\n}}",
        PROMETHEUS,
        "preserve",
    ),
    "a variable": (":8080 {\n reverse_proxy {$UP}\n}", PROMETHEUS, "preserve"),
    "a variable with a default": (f":8080 {{\n reverse_proxy {{$NOWHERE:{UP}}}\n}}", PROMETHEUS, "preserve"),
    "TLS to the upstream before 2.11": (
        f":8080 {{\n reverse_proxy https://{UP}\n}}",
        PROMETHEUS.replace("http:", "https:"),
        "preserve",
    ),
    "another site beside it": (
        f"example.com {{\n respond 200\n}}\n:8080 {{\n reverse_proxy {UP}\n}}",
        PROMETHEUS,
        "preserve",
    ),
}

# name: Caddyfile, what the problem names
UNKNOWN: dict[str, tuple[str, str]] = {
    "nothing listens there": (f":81 {{\n reverse_proxy {UP}\n}}", "0 reverse_proxy"),
    "two upstreams": (f":8080 {{\n reverse_proxy {UP} other:9090\n}}", "2 upstreams"),
    "dynamic upstreams": (":8080 {\n reverse_proxy {\n dynamic a prom 9090\n }\n}", "dynamic a prom 9090"),
    "a condition": (f":8080 {{\n @x header X y\n reverse_proxy @x {UP}\n}}", "@x"),
    "a snippet that is not there": (":8080 {\n import other\n}", "import other"),
    "a placeholder as Host": (f":8080 {{\n reverse_proxy {UP} {{\n header_up Host {{env.X}}\n }}\n}}", "{env.X}"),
    "a Host by replacement": (f":8080 {{\n reverse_proxy {UP} {{\n header_up Host a b\n }}\n}}", "header_up Host a b"),
    "a Host taken away": (f":8080 {{\n reverse_proxy {UP} {{\n header_up -Host\n }}\n}}", "header_up -Host"),
    "a rewrite": (f":8080 {{\n rewrite * /x{{uri}}\n reverse_proxy {UP}\n}}", "rewrite"),
    "an upstream from a variable": (":8080 {\n reverse_proxy {$NOWHERE}\n}", "{$NOWHERE}"),
    "a block that does not end": (":8080 {\n", "does not end"),
    "a heredoc": (":8080 {\n respond <<X\n X\n}", "heredoc"),
    "an endless import": ("(a) {\n import a\n}\n:8080 {\n import a\n}", "import a"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_caddy_is_followed(name: str) -> None:
    text, upstream, host = FOLLOWED[name]
    found = relay(IMAGE, files={FILE: text}, env={"UP": UP})
    assert (found.problem, found.upstream, found.host, found.http_version) == ("", upstream, host, "1.1")
    assert "key Caddyfile of ConfigMap monitoring/config-0" in found.how


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_caddy_may_do_is_not_guessed(name: str) -> None:
    text, named = UNKNOWN[name]
    found = relay(IMAGE, files={FILE: text})
    assert named in found.problem
    assert not found.host


@pytest.mark.parametrize(("tag", "host"), [("2.10.2", "preserve"), ("2.11.0-alpine", "upstream"), ("latest", "")])
def test_https_upstreams_get_their_own_host_since_2_11(tag: str, host: str) -> None:
    found = relay(f"docker.io/library/caddy:{tag}", files={FILE: f":8080 {{\n reverse_proxy https://{UP}\n}}"})
    assert (found.host, bool(found.problem)) == (host, not host)


def test_the_command_line() -> None:
    args = ["caddy", "reverse-proxy", "--from", ":8080", "--to", UP]
    assert relay(IMAGE, args).host == "preserve"
    assert relay(IMAGE, [*args, "--change-host-header"]).host == "upstream"
    assert relay(IMAGE, [*args, "--header-up", "Host: prometheus"]).host == "prometheus"


def from_json(handler: dict[str, Any], match: list[dict[str, Any]] | None = None) -> tuple[str, str, str]:
    proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": UP}], **handler}
    route = {"match": match or [], "handle": [{"handler": "subroute", "routes": [{"handle": [proxy]}]}]}
    config = {"apps": {"http": {"servers": {"s": {"listen": [":8080"], "routes": [route]}}}}}
    found = relay(IMAGE, ["run", "--config", "/c.json"], files={"/c.json": json.dumps(config)})
    return found.upstream, found.host, found.problem


def test_json() -> None:
    literal = {"headers": {"request": {"set": {"Host": ["{http.reverse_proxy.upstream.hostport}"]}}}}
    assert from_json({}) == (PROMETHEUS, "preserve", "")
    assert from_json(literal) == (PROMETHEUS, "upstream", "")
    assert "0 reverse_proxy" in from_json({}, [{"path": ["/other/*"]}])[2]
    assert "headers for Host" in from_json({"headers": {"request": {"delete": ["Host"]}}})[2]
    assert "no JSON" in relay(IMAGE, ["--config=/c.json"], files={"/c.json": "{"}).problem
