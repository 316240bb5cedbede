# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx: which server and location take a query, which Host leaves, in which version of HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from proxy_pods import PROMETHEUS, ask, container, relay

from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.nginx import default_http_version

IMAGE = "docker.io/nginxinc/nginx-unprivileged:1.27.1-alpine"
CONF = "/etc/nginx/conf.d/default.conf"
MAIN = "/etc/nginx/nginx.conf"
NAME = "prometheus.monitoring.svc"


def server(location: str, outside: str = "") -> str:
    return f"server {{ listen 8080; {outside} location / {{ {location} }} }}"


PASS = f"proxy_pass {PROMETHEUS};"
V1 = "proxy_http_version 1.1;"

# name: default.conf, expected upstream, Host, HTTP version
FOLLOWED: dict[str, tuple[str, str, str, str]] = {
    "as nginx does on its own": (server(PASS), PROMETHEUS, "upstream", "1.0"),
    "HTTP/1.1": (server(PASS + V1), PROMETHEUS, "upstream", "1.1"),
    "the incoming Host": (server(PASS + V1 + "proxy_set_header Host $host;"), PROMETHEUS, "preserve", "1.1"),
    "$http_host": (server(PASS + V1 + 'proxy_set_header host "$http_host";'), PROMETHEUS, "preserve", "1.1"),
    "$host with a port": (
        server(PASS + V1 + "proxy_set_header Host $host:$server_port;"),
        PROMETHEUS,
        "preserve",
        "1.1",
    ),
    "$proxy_host": (server(PASS + V1 + "proxy_set_header Host $proxy_host;"), PROMETHEUS, "upstream", "1.1"),
    "a literal": (server(PASS + V1 + f"proxy_set_header Host {NAME};"), PROMETHEUS, NAME, "1.1"),
    "a literal in a variable": (
        server(PASS + "proxy_set_header Host $up;", f"{V1} set $up {NAME};"),
        PROMETHEUS,
        NAME,
        "1.1",
    ),
    "headers of the server count where the location has none": (
        server(PASS, f"{V1} proxy_set_header Host $host;"),
        PROMETHEUS,
        "preserve",
        "1.1",
    ),
    "any header in the location hides those of the server": (
        server(PASS + "proxy_set_header X-Scope-OrgID a;", f"{V1} proxy_set_header Host $host;"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "headers of http": (f"{V1} proxy_set_header Host $host; {server(PASS)}", PROMETHEUS, "preserve", "1.1"),
    "an upstream block is called by its own name": (
        f"upstream prom {{ server {NAME}:9090; keepalive 8; }} {server('proxy_pass http://prom;' + V1)}",
        PROMETHEUS,
        "prom",
        "1.1",
    ),
    "an upstream block and $proxy_host": (
        f"upstream prom {{ server {NAME}:9090; }}"
        + server("proxy_pass http://prom/; proxy_set_header Host $proxy_host;" + V1),
        PROMETHEUS,
        "prom",
        "1.1",
    ),
    "a proxy_pass by variable, as the Mimir chart has it": (
        server(f"set $query_frontend {NAME}; proxy_pass http://$query_frontend:9090$request_uri; {V1}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "the longest prefix": (
        server("proxy_pass http://ui:80;", f"{V1} location /api/ {{ {PASS} }} location /api/v2/ {{ return 404; }}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "an exact location": (
        server("proxy_pass http://ui:80;", f"{V1} location = /api/v1/query {{ {PASS} }}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "a regular expression goes before a prefix": (
        server("proxy_pass http://ui:80;", f"{V1} location ~ ^/api/v[12]/ {{ {PASS} }}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "a regular expression that does not match": (
        server(PASS, V1 + r" location ~* \.(js|css)$ { root /x; }"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "^~ keeps regular expressions out": (
        server(PASS, f"{V1} location ^~ /api {{ {PASS} }} location ~ query {{ return 404; }}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "a location in a location": (
        server(f"location /api {{ {PASS} }} proxy_pass http://ui:80;", V1),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "a server on another port": (
        f"server {{ listen 80; return 301 https://x; }} {server(PASS + V1)}",
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "two servers that agree": (
        f"{server(PASS + V1)} {server(PASS + V1, 'server_name x;')}",
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "health checks and a login beside it": (
        server(
            f"auth_request /auth; if ($request_method = OPTIONS) {{ return 204; }} {PASS} {V1}",
            "location = /auth { internal; proxy_pass http://oauth2-proxy; } rewrite ^/graph$ / redirect;",
        ),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "comments and quotes": (
        f"# server {{\n{server(PASS + V1)} # }}\n",
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
}

# name: default.conf, what the problem names
UNKNOWN: dict[str, tuple[str, str]] = {
    "nothing listens there": ("server { listen 81; }", "listens on port 8080"),
    "no proxy_pass": (server("root /usr/share/nginx/html;"), "no proxy_pass"),
    "an answer of its own": (server("return 200;"), "return"),
    "a header from a map": (
        f"map $host $up {{ default x; }} {server(PASS + 'proxy_set_header Host $up;')}",
        "$up",
    ),
    "an empty Host": (server(PASS + 'proxy_set_header Host "";'), "Host ''"),
    "a proxy_pass from a map": (server("proxy_pass http://$up;"), "$up"),
    "half of the name from a map": (server("proxy_pass http://prom$suffix:9090;"), "$suffix"),
    "a socket": (server("proxy_pass http://unix:/x.sock;"), "unix"),
    "several servers in a block": (
        f"upstream p {{ server a:1; server b:1; }} {server('proxy_pass http://p;')}",
        "2 servers",
    ),
    "an include that is not mounted": (server(PASS, "include /etc/nginx/proxy_params;"), "proxy_params"),
    "Lua": (server(f"access_by_lua_block {{ x }} {PASS}"), "access_by_lua_block"),
    "a condition": (server(f"if ($arg_x) {{ proxy_pass http://y; }} {PASS}"), "if"),
    "a rewrite to elsewhere": (server(f"rewrite ^/api/(.*)$ /x/$1 last; {PASS}"), "rewrite"),
    "servers that differ by name": (f"{server(PASS)} {server('proxy_pass http://y:1;')}", "server_name"),
    "a regular expression that may take long": (server(PASS, "location ~ ^(a+)+$ { return 404; }"), "not tried"),
    "half a file": ("server { listen 8080;", "does not end"),
    "a quote that does not end": ('server { "', "not understood"),
    "an unknown version of HTTP": (server(PASS + "proxy_http_version 3;"), "proxy_http_version"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_nginx_is_followed(name: str) -> None:
    text, upstream, host, version = FOLLOWED[name]
    found = relay(IMAGE, files={CONF: text})
    assert (found.problem, found.upstream, found.host, found.http_version) == ("", upstream, host, version)
    assert "key default.conf of ConfigMap monitoring/config-0" in found.how


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nginx_may_do_is_not_guessed(name: str) -> None:
    text, named = UNKNOWN[name]
    found = relay(IMAGE, files={CONF: text})
    assert named in found.problem
    assert not found.host


def test_the_whole_configuration_with_includes() -> None:
    files = {
        MAIN: f"events {{}} http {{ include mime.types; {V1} include conf.d/*.conf; }}",
        CONF: server(PASS, "include snippets/host;"),
        "/etc/nginx/snippets/host": "proxy_set_header Host $host;",
    }
    found = relay(IMAGE, files=files)
    assert (found.upstream, found.host, found.http_version) == (PROMETHEUS, "preserve", "1.1")
    files[CONF] = server(PASS, "include conf.d/default.conf;")
    assert "includes more than" in relay(IMAGE, files=files).problem


def test_a_template_is_rendered_with_the_variables_of_the_container() -> None:
    files = {
        "/etc/nginx/templates/default.conf.template": server("proxy_pass ${UPSTREAM}; proxy_set_header Host $host;")
    }
    assert relay(IMAGE, files=files, env={"UPSTREAM": PROMETHEUS}).upstream == PROMETHEUS
    assert "${UPSTREAM}" in relay(IMAGE, files=files).problem


def test_without_a_config_map_nothing_is_guessed() -> None:
    assert "in no ConfigMap" in relay(IMAGE).problem


def test_a_config_map_that_is_gone_is_a_problem() -> None:
    found = ask([container(IMAGE, files={CONF: ""})], {}, volumes=[{"name": "file-0", "configMap": {"name": "gone"}}])
    assert found is not None
    assert "ConfigMap monitoring/gone cannot be read: it does not exist" in found.problem


def test_a_folder_with_renamed_keys() -> None:
    mount: dict[str, Any] = {"volumeMounts": [{"name": "conf", "mountPath": "/etc/nginx/conf.d/"}]}
    source = {"name": "web", "items": [{"key": "main", "path": "web.conf"}]}
    maps = {"web": {"metadata": {"name": "web"}, "data": {"main": server(PASS), "other": "}"}}}
    for volume in ({"configMap": source}, {"projected": {"sources": [{"configMap": source}]}}):
        found = ask([container(IMAGE, **mount)], maps, volumes=[{"name": "conf", **volume}])
        assert found is not None
        assert found.upstream == PROMETHEUS


def test_a_path_below_which_the_data_source_asks_chooses_the_location() -> None:
    text = server("return 404;", f"location /prometheus {{ {PASS} }}")
    assert relay(IMAGE, path="/prometheus/api/v1/query", files={CONF: text}).upstream == PROMETHEUS
    assert "return" in relay(IMAGE, files={CONF: text}).problem


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("nginx:1.25", "1.0"),
        ("nginx:1.25.3.1-alpine", "1.0"),
        ("nginx:1.29.6", "1.0"),
        ("nginx:1.29.7-alpine", "1.1"),
        ("nginx:1.31", "1.1"),
        ("nginx:1.29", ""),
        ("nginx:stable-alpine", ""),
        ("nginx", ""),
        ("nginx@sha256:0123", ""),
    ],
)
def test_the_version_of_http_that_nginx_speaks_on_its_own(image: str, version: str) -> None:
    assert default_http_version(image) == version
