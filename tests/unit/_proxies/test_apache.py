# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache httpd: which ProxyPass takes a query, under which Host."""

from __future__ import annotations

import pytest
from proxy_pods import PROMETHEUS, relay

IMAGE = "docker.io/library/httpd:2.4"
FILE = "/usr/local/apache2/conf/httpd.conf"
PASS = f"ProxyPass / {PROMETHEUS}/\nProxyPassReverse / {PROMETHEUS}/\n"


def virtual(inside: str, outside: str = "") -> str:
    return f"ServerRoot /usr/local/apache2\nListen 8080\n{outside}<VirtualHost *:8080>\n{inside}</VirtualHost>\n"


# name: httpd.conf, expected upstream, Host, HTTP version
FOLLOWED: dict[str, tuple[str, str, str, str]] = {
    "as httpd does on its own": (virtual(PASS), PROMETHEUS, "upstream", "1.1"),
    "the incoming Host": (virtual(f"ProxyPreserveHost On\n{PASS}"), PROMETHEUS, "preserve", "1.1"),
    "set outside, kept inside": (virtual(PASS, "ProxyPreserveHost On\n"), PROMETHEUS, "preserve", "1.1"),
    "set outside, taken back inside": (
        virtual(f"proxypreservehost off\n{PASS}", "ProxyPreserveHost On\n"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "no virtual host": (f"Listen 8080\n{PASS}", PROMETHEUS, "upstream", "1.1"),
    "a Host of its own": (
        virtual(f'ProxyPreserveHost On\nRequestHeader set Host "prometheus"\n{PASS}'),
        PROMETHEUS,
        "prometheus",
        "1.1",
    ),
    "a Host of its own that plays no part": (
        virtual(f"RequestHeader set Host prometheus\n{PASS}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "a location": (
        virtual(f"<Location /api>\nProxyPreserveHost On\nProxyPass {PROMETHEUS}/api\n</Location>\n"),
        PROMETHEUS,
        "preserve",
        "1.1",
    ),
    "another location": (
        virtual(f"<Location /x>\nProxyPreserveHost On\n</Location>\n{PASS}"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "the longest path": (
        virtual(f"ProxyPass / http://ui/\nProxyPass /api {PROMETHEUS}/api\n"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "continued lines and modules": (
        virtual(f"<IfModule mod_proxy.c>\nProxyPass / \\\n  {PROMETHEUS}/ retry=0\n</IfModule>\n# x\n"),
        PROMETHEUS,
        "upstream",
        "1.1",
    ),
    "HTTP/1.0": (virtual(f"SetEnv force-proxy-request-1.0 1\n{PASS}"), PROMETHEUS, "upstream", "1.0"),
    "Define": (virtual("ProxyPass / ${UP}/\n", f"Define UP {PROMETHEUS}\n"), PROMETHEUS, "upstream", "1.1"),
    "a harmless include": (virtual(PASS, "Include conf/extra/proxy-html.conf\n"), PROMETHEUS, "upstream", "1.1"),
    "a rewrite that proxies nothing": (virtual(f"RewriteRule ^/x$ /y [R,L]\n{PASS}"), PROMETHEUS, "upstream", "1.1"),
}

# name: httpd.conf, what the problem names
UNKNOWN: dict[str, tuple[str, str]] = {
    "nothing listens there": ("Listen 81\n", "does not listen"),
    "no ProxyPass": (virtual("DocumentRoot /x\n"), "no ProxyPass"),
    "an exception": (virtual(f"ProxyPass /api !\n{PASS}"), "found: !"),
    "a balancer": (virtual("ProxyPass / balancer://prom/\n"), "balancer://prom/"),
    "a rewrite that proxies": (virtual("RewriteRule ^/(.*)$ http://x/$1 [P,L]\n"), "rewriterule"),
    "ProxyPassMatch": (virtual("ProxyPassMatch ^/(.*)$ http://x/$1\n"), "proxypassmatch"),
    "a header by variable": (
        virtual(f"ProxyPreserveHost On\nRequestHeader set Host %{{X}}e\n{PASS}"),
        "%{X}e",
    ),
    "a header under a condition": (virtual(f"RequestHeader set Host x env=y\n{PASS}"), "RequestHeader"),
    "an include that is not mounted": (virtual(PASS, "Include conf/extra/vhosts.conf\n"), "vhosts.conf"),
    "a condition": (virtual(f'<If "%{{X}}">\nProxyPreserveHost On\n</If>\n{PASS}'), "if"),
    "virtual hosts that differ": (virtual(PASS) + virtual("ProxyPass / http://y:1/\n"), "ServerName"),
    "a section that does not end": ("<VirtualHost *:8080>\n", "does not end"),
    "a section that was not opened": ("</VirtualHost>\n", "not open"),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_httpd_is_followed(name: str) -> None:
    text, upstream, host, version = FOLLOWED[name]
    found = relay(IMAGE, files={FILE: text})
    assert (found.problem, found.upstream, found.host, found.http_version) == ("", upstream, host, version)
    assert "key httpd.conf of ConfigMap monitoring/config-0" in found.how


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_httpd_may_do_is_not_guessed(name: str) -> None:
    text, named = UNKNOWN[name]
    found = relay(IMAGE, files={FILE: text})
    assert named in found.problem
    assert not found.host


def test_an_include_is_followed() -> None:
    included = "/usr/local/apache2/conf/extra/prom.conf"
    text = virtual("Include conf/extra/prom.conf\n")
    assert relay(IMAGE, files={FILE: text, included: PASS}).upstream == PROMETHEUS
    assert "includes itself" in relay(IMAGE, files={FILE: text, included: "Include conf/extra/prom.conf\n"}).problem
    assert relay(IMAGE, files={included: virtual(PASS)}).upstream == PROMETHEUS
