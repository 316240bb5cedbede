# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Service a name means, to DNS and to Istio."""

from __future__ import annotations

import pytest

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("prometheus", ("monitoring", "prometheus")),
        ("prometheus.other", ("other", "prometheus")),
        ("prometheus.other.svc", ("other", "prometheus")),
        ("prometheus.other.svc.cluster.local", ("other", "prometheus")),
        ("prometheus.other.svc.cluster.local.", ("other", "prometheus")),
        ("prometheus.other.svc.", None),
        ("metrics.example.com", None),
        ("10.96.0.4", None),
        ("a.b.c.svc.cluster.local", None),
    ],
)
def test_service_name(host: str, expected: tuple[str, str] | None) -> None:
    assert hostnames.service_name(host, "monitoring", "cluster.local") == expected


@pytest.mark.parametrize(
    ("authority", "bare"),
    [("A.b:8080", "a.b"), ("a.b", "a.b"), ("[2001:db8::1]:80", "2001:db8::1"), ("2001:db8::1", "2001:db8::1")],
)
def test_the_port_in_a_host_does_not_count(authority: str, bare: str) -> None:
    assert hostnames.without_port(authority) == bare


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a:80", "a"),
        ("http://a", "a"),
        ("http://A:9090/x", "a:9090"),
        ("https://a:443", "a"),
        ("https://a:80", "a:80"),
    ],
)
def test_the_host_that_a_client_derives_from_a_url(url: str, authority: str) -> None:
    endpoint = hostnames.endpoint(url)
    assert endpoint is not None
    assert endpoint.authority == authority


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://a", "http://", "http://a:port"])
def test_what_is_no_url(url: str) -> None:
    assert hostnames.endpoint(url) is None
