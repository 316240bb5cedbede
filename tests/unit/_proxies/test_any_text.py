# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in a file or an argument: nothing raises, nothing hangs, and a problem never comes with an answer."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_pods import ask, config_maps, container

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import toml

# Every kind that reads a file: image, arguments, the file's path.
READERS = {
    "nginx": ("nginx:1.27.0", [], "/etc/nginx/nginx.conf"),
    "nginx, conf.d": ("nginx:1.27.0", [], "/etc/nginx/conf.d/default.conf"),
    "haproxy": ("haproxy:3.0", [], "/usr/local/etc/haproxy/haproxy.cfg"),
    "caddy": ("caddy:2.8.4", [], "/etc/caddy/Caddyfile"),
    "caddy, JSON": ("caddy:2.8.4", ["--config=/c.json"], "/c.json"),
    "apache": ("httpd:2.4", [], "/usr/local/apache2/conf/httpd.conf"),
    "envoy": ("envoyproxy/envoy:v1.34", [], "/etc/envoy/envoy.yaml"),
    "vmauth": ("victoriametrics/vmauth:v1.110.0", ["-auth.config=/a.yaml"], "/a.yaml"),
    "pomerium": ("pomerium/pomerium:v0.28.0", [], "/pomerium/config.yaml"),
    "multena-proxy": ("gepaplexx/multena-proxy:v0.6.8", [], "/etc/config/config.yaml"),
    "promxy": ("jacksontj/promxy:v0.0.93", ["--config=/p.yaml"], "/p.yaml"),
    "trickster": ("trickstercache/trickster:2.0.0", [], "/etc/trickster/trickster.yaml"),
    "louketo-proxy": ("louketo/louketo-proxy:1.0.0", ["--config=/l.yaml"], "/l.yaml"),
    "oauth2-proxy": ("oauth2-proxy/oauth2-proxy:v7.14.0", ["--config=/o.cfg"], "/o.cfg"),
    "oauth2-proxy, alpha": ("oauth2-proxy/oauth2-proxy:v7.14.0", ["--alpha-config=/o.yaml"], "/o.yaml"),
}
# Pieces of which configurations are made, so that arbitrary texts get past the first word.
PIECES = (
    *("http", "server", "listen 8080;", "listen 8080", "location /", "proxy_pass http://a:1;", "proxy_set_header Host"),
    *(
        "{",
        "}",
        ";",
        "\n",
        " ",
        '"',
        "'",
        "`",
        "\\",
        "#",
        "$",
        "${",
        "%[",
        "<",
        ">",
        "</",
        "=",
        "[",
        "]",
        ",",
        ":",
        "~",
    ),
    *(
        "frontend f",
        "bind :8080",
        "backend b",
        "server s a:1",
        "default_backend b",
        "mode http",
        "http-request set-header",
    ),
    *(":8080", "reverse_proxy", "a:1", "header_up Host", "import x", "handle", "(x)", "{$A:b}", "<<X", "@m"),
    *("<VirtualHost *:8080>", "</VirtualHost>", "ProxyPass / http://a:1/", "ProxyPreserveHost On", "Listen 8080"),
    *("include *", "upstream a", "set $a $a$a;", "if ($a)", "rewrite", "Define A ${A}${A}", "users:", "routes:", "- "),
    *(
        "upstreams = [",
        "static_resources:",
        "clusters",
        "null",
        "{}",
        "[]",
        "true",
        "8080",
        "\x00",
        "\u202e",
        "\U0001f600",
    ),
)
# Seconds of CPU: what is linear takes one at most, what goes back over the text again and again takes minutes.
PATIENCE = 10
LONG = (
    *(
        "{",
        "}",
        '"',
        "\\",
        "a ",
        "$a",
        "set $a $a$a; ",
        "<a>\n",
        "[",
        "a\n",
        '"\\',
        "a{",
        "{$A:",
        "secret",
        "-.",
        "a.",
        " ",
    ),
    *(
        "(x) {\nimport x\n",
        "include *;",
        "server { ",
        "a=[",
        "a=[\n",
        "<<",
        "%[",
        "\\\n",
        "#",
        "frontend a\n",
        "bind a\n",
    ),
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))


def check(image: str, args: list[str], path: str, text: str) -> None:
    files = {path: text}
    found = ask([container(image, args, files=files)], config_maps(files))
    assert found is not None
    assert bool(found.problem) != bool(found.upstream and found.host)
    assert len(found.problem) < 2000


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_any_text_is_followed_or_is_a_problem(reader: str, text: str) -> None:
    check(*READERS[reader], text)


SHAPES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 9999), st.sampled_from(["http://a:1", "/", "Host", ""])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "static_resources",
                        "listeners",
                        "clusters",
                        "routes",
                        "users",
                        "url_prefix",
                        "headers",
                        "to",
                        "apps",
                    ),
                    *(
                        "http",
                        "servers",
                        "listen",
                        "handle",
                        "match",
                        "upstreams",
                        "upstreamConfig",
                        "uri",
                        "thanos",
                        "url",
                    ),
                    *(
                        "promxy",
                        "server_groups",
                        "static_configs",
                        "targets",
                        "backends",
                        "origin_url",
                        "url_map",
                        "path",
                    ),
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "reader", [name for name, (_image, _args, path) in READERS.items() if path.endswith((".yaml", ".json"))]
)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=SHAPES)
def test_any_document_is_followed_or_is_a_problem(reader: str, shape: object) -> None:
    check(*READERS[reader], json.dumps(shape))


@pytest.mark.parametrize("reader", ["nginx", "haproxy", "caddy", "apache", "oauth2-proxy"])
def test_a_long_file_of_anything_takes_no_longer_than_it_is_long(reader: str) -> None:
    for piece in LONG:
        started = time.process_time()
        check(*READERS[reader], piece * (10_000 // len(piece)))
        assert time.process_time() - started < PATIENCE, piece


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    args=st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["--upstream", "--upstream=http://a", "-", "--"])))
)
def test_any_arguments_are_followed_or_are_a_problem(args: list[str]) -> None:
    for image in ("oauth2-proxy", "ose-oauth-proxy", "kube-rbac-proxy", "prom-authzed-proxy", "observatorium/api"):
        found = ask([container(image, args)], {})
        assert found is not None
        assert bool(found.problem) != bool(found.upstream and found.host)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=st.text())
def test_toml_takes_any_text(text: str) -> None:
    parsed = toml.parse(text)
    assert parsed.unknown or all(isinstance(key, str) for key in parsed.values)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(text=TEXTS)
def test_masking_a_configuration_twice_changes_nothing(text: str) -> None:
    once = _redact.configuration(text)
    assert _redact.configuration(once) == once
