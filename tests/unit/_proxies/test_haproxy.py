# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy: which backend takes a query, under which Host."""

from __future__ import annotations

import pytest
from proxy_pods import PROMETHEUS, relay

IMAGE = "docker.io/library/haproxy:3.0-alpine"
FILE = "/usr/local/etc/haproxy/haproxy.cfg"
SERVER = "server prom prometheus.monitoring.svc:9090 check"


def config(backend: str = "", frontend: str = "", defaults: str = "  mode http\n") -> str:
    return (
        f"global\n  log stdout format raw local0\ndefaults\n{defaults}  timeout connect 5s\n"
        f"frontend in\n  bind *:8080\n{frontend}  default_backend prom\nbackend prom\n{backend}  {SERVER}\n"
    )


SET = "  http-request set-header Host prometheus.monitoring.svc\n"

# name: haproxy.cfg, expected upstream, Host
FOLLOWED: dict[str, tuple[str, str, str]] = {
    "as HAProxy does on its own": (config(), PROMETHEUS, "preserve"),
    "a Host in the backend": (config(SET), PROMETHEUS, "prometheus.monitoring.svc"),
    "a Host in the frontend": (config("", SET), PROMETHEUS, "prometheus.monitoring.svc"),
    "the backend comes after the frontend": (
        config(SET, "  http-request set-header Host other\n"),
        PROMETHEUS,
        "prometheus.monitoring.svc",
    ),
    "the incoming Host, said": (config("  http-request set-header Host %[req.hdr(host)]\n"), PROMETHEUS, "preserve"),
    "other headers": (
        config("  http-request set-header X-Forwarded-Host %[req.hdr(Host)]\n  http-request del-header X-Debug\n"),
        PROMETHEUS,
        "preserve",
    ),
    "the server's name": (config("  http-send-name-header Host\n"), PROMETHEUS, "prom"),
    "listen": (f"listen x\n mode http\n bind :8080\n {SERVER}\n", PROMETHEUS, "preserve"),
    "a health check": (
        config("", "  http-request return status 200 if { path /healthz }\n"),
        PROMETHEUS,
        "preserve",
    ),
    "TLS to the server": (
        config().replace(SERVER, SERVER + " ssl verify none"),
        PROMETHEUS.replace("http:", "https:"),
        "preserve",
    ),
    "a variable": (
        config('  http-request set-header Host "${HOST_NAME}"\n'),
        PROMETHEUS,
        "from.variable",
    ),
    "another frontend beside it": (
        config() + "frontend stats\n  bind *:8404\n  stats enable\n",
        PROMETHEUS,
        "preserve",
    ),
}

# name: haproxy.cfg, what the problem names
UNKNOWN: dict[str, tuple[str, str]] = {
    "nothing binds the port": (config().replace("*:8080", "*:81"), "bind port 8080"),
    "TCP": (config(defaults="  mode tcp\n"), "mode tcp"),
    "TCP, by default": (config(defaults=""), "mode tcp"),
    "backends by condition": (
        config("", "  use_backend other if { path_beg /x }\n"),
        "use_backend",
    ),
    "two servers": (config("  server b other:9090\n"), "2 servers"),
    "servers by DNS": (config("  server-template p 3 prom:9090\n"), "server-template"),
    "a Host under a condition": (config("  http-request set-header Host x if { src 10.0.0.0/8 }\n"), "condition"),
    "a Host from a map": (config("  http-request set-header Host %[src,map(/x)]\n"), "%[src,map(/x)]"),
    "a Host by replacement": (config("  http-request replace-header Host (.*) x\n"), "replace-header"),
    "Lua": (config("  http-request lua.x\n"), "lua.x"),
    "a condition of the preprocessor": (".if defined(X)\n" + config(), ".if"),
    "a server without a port": (config().replace(":9090", ""), "server"),
    "a quote that does not end": (config('  http-request set-header Host "x\n'), "quote"),
    "an unknown variable": (config('  http-request set-header Host "$NOWHERE"\n'), "$NOWHERE"),
    "an answer for everyone": (config("  http-request return status 503\n"), "return"),
    "lines before any section": ("mode http\n", "outside"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_haproxy_is_followed(name: str) -> None:
    text, upstream, host = FOLLOWED[name]
    found = relay(IMAGE, files={FILE: text}, env={"HOST_NAME": "from.variable"})
    assert (found.problem, found.upstream, found.host, found.http_version) == ("", upstream, host, "1.1")
    assert "key haproxy.cfg of ConfigMap monitoring/config-0" in found.how


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_haproxy_may_do_is_not_guessed(name: str) -> None:
    text, named = UNKNOWN[name]
    found = relay(IMAGE, files={FILE: text})
    assert named in found.problem
    assert not found.host


def test_the_file_that_is_named_in_the_arguments() -> None:
    assert relay(IMAGE, ["-f", "/cfg/x.cfg"], files={"/cfg/x.cfg": config()}).upstream == PROMETHEUS
    assert "/cfg/x.cfg" in relay(IMAGE, ["-f", "/cfg/x.cfg"]).problem
