# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole paths through other proxies than prom-label-proxy: the verdict, and what is offered."""

from __future__ import annotations

from typing import Any

import pytest
from world import NS, PROMETHEUS_HOST, PROXY_HOST, QUESTION, World, obj, service

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, KnownProxy
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.remedy import Remedy

UPSTREAM = f"http://{PROMETHEUS_HOST}:9090"
NGINX = "docker.io/library/nginx"
OAUTH2 = "quay.io/oauth2-proxy/oauth2-proxy:v7.14.0"


def through(image: str, args: list[str] | None = None, files: dict[str, str] | None = None) -> World:
    """The lab's stack with another program in the proxy's pod; files: path in the container -> text."""
    world = World()
    for kind, name in (("Deployment", "prom-label-proxy"), ("Pod", "prom-label-proxy-abc-1")):
        spec = world.get(kind, name)["spec"]
        spec = spec["template"]["spec"] if kind == "Deployment" else spec
        spec["containers"][0] |= {"image": image, "args": args or []}
        mounts = [{"name": f"f{i}", "mountPath": path, "subPath": "file"} for i, path in enumerate(files or {})]
        spec["containers"][0]["volumeMounts"] = mounts
        spec["volumes"] = [{"name": f"f{i}", "configMap": {"name": f"file-{i}"}} for i, _path in enumerate(files or {})]
    for index, text in enumerate((files or {}).values()):
        world.add({**obj("ConfigMap", f"file-{index}", {}), "data": {"file": text}})
    return world


def nginx(inside: str, tag: str = "1.27.1") -> World:
    text = f"server {{ listen 8080; location / {{ proxy_pass {UPSTREAM}; {inside} }} }}"
    return through(f"{NGINX}:{tag}", files={"/etc/nginx/conf.d/default.conf": text})


HAPROXY = "/usr/local/etc/haproxy/haproxy.cfg"
HAPROXY_TEXT = f"listen x\n mode http\n bind :8080\n server p {PROMETHEUS_HOST}:9090\n"
HTTPD = "/usr/local/apache2/conf/httpd.conf"
CADDY = f":8080 {{\n reverse_proxy {PROMETHEUS_HOST}:9090 {{\n header_up X-A b\n }}\n}}\n"
APACHE = f"Listen 8080\nProxyPreserveHost On\nProxyPass / {UPSTREAM}/\n"
V1 = "proxy_http_version 1.1;"

# name: the world, expected status and code
CASES: dict[str, tuple[World, str, str]] = {
    "nginx on its own speaks HTTP/1.0": (nginx(""), "broken", "QP107"),
    "nginx 1.29.7 on its own": (nginx("", "1.29.7"), "healthy", ""),
    "nginx, HTTP/1.1": (nginx(V1), "healthy", ""),
    "nginx, HTTP/1.1 and the incoming Host": (nginx(V1 + "proxy_set_header Host $host;"), "broken", "QP101"),
    "nginx, HTTP/1.0 and the incoming Host": (nginx("proxy_set_header Host $host;"), "broken", "QP107"),
    "nginx, HTTP/1.0, PERMISSIVE": (nginx("").peer_authentication("PERMISSIVE"), "at_risk", "QP107"),
    "nginx, HTTP/1.0 to a sniffed port": (nginx("").port("prometheus", name="web"), "healthy", ""),
    "nginx, HTTP/1.0 to a TCP port": (nginx("").port("prometheus", appProtocol="tcp"), "healthy", ""),
    "nginx of an unknown version": (nginx("", "stable"), "inconclusive", "QP902"),
    "nginx of an unknown version to a sniffed port": (
        nginx("", "stable").port("prometheus", name="web"),
        "healthy",
        "",
    ),
    "haproxy": (through("haproxy:3.0", files={HAPROXY: HAPROXY_TEXT}), "broken", "QP101"),
    "haproxy, rewriting": (
        through("haproxy:3.0", files={HAPROXY: HAPROXY_TEXT + f" http-request set-header Host {PROMETHEUS_HOST}\n"}),
        "healthy",
        "",
    ),
    "caddy": (through("caddy:2.8.4", files={"/etc/caddy/Caddyfile": CADDY}), "broken", "QP101"),
    "caddy, rewriting": (
        through(
            "caddy:2.8.4",
            files={"/etc/caddy/Caddyfile": CADDY.replace("X-A b", "Host {upstream_hostport}")},
        ),
        "healthy",
        "",
    ),
    "httpd, preserving": (
        through("httpd:2.4", files={HTTPD: APACHE}),
        "broken",
        "QP101",
    ),
    "httpd": (
        through("httpd:2.4", files={HTTPD: APACHE.replace("On", "Off")}),
        "healthy",
        "",
    ),
    "oauth2-proxy": (through(OAUTH2, [f"--upstream={UPSTREAM}"]), "broken", "QP101"),
    "oauth2-proxy, rewriting": (
        through(OAUTH2, [f"--upstream={UPSTREAM}", "--pass-host-header=false"]),
        "healthy",
        "",
    ),
    "Thanos query frontend": (
        through("thanosio/thanos:v0.39.0", ["query-frontend", f"--query-frontend.downstream-url={UPSTREAM}"]),
        "healthy",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str) -> None:
    world, status, code = CASES[name]
    verdict = world.diagnose().judgement.verdict
    assert (verdict.status, verdict.code) == (status, code), verdict.summary
    assert len(world.asked) <= 25


def remedy(world: World, strategy: str) -> Remedy:
    return next(found for found in world.diagnose().remedies if found.strategy == strategy)


@pytest.mark.parametrize(
    ("world", "directive"),
    [
        (nginx(V1 + "proxy_set_header Host $host;"), f"`proxy_set_header Host {PROMETHEUS_HOST};` in location /"),
        (nginx(""), "speaks HTTP/1.0, which no argument changes: write `proxy_http_version 1.1;` in location /"),
        (
            through(
                "httpd:2.4", files={HTTPD: APACHE.replace("ProxyPreserveHost On", "SetEnv force-proxy-request-1.0 1")}
            ),
            "remove `force-proxy-request-1.0`",
        ),
        (
            through("haproxy:3.0", files={HAPROXY: HAPROXY_TEXT + " http-send-name-header Host\n"}),
            "without its http-send-name-header",
        ),
        (
            through("haproxy:3.0", files={HAPROXY: HAPROXY_TEXT}),
            f"`http-request set-header Host {PROMETHEUS_HOST}`",
        ),
        (
            through("caddy:2.8.4", files={"/etc/caddy/Caddyfile": CADDY}),
            "`header_up Host {upstream_hostport}`",
        ),
        (
            through("httpd:2.4", files={HTTPD: APACHE}),
            "`ProxyPreserveHost Off`",
        ),
    ],
)
def test_what_stands_in_a_file_is_shown_and_not_changed(world: World, directive: str) -> None:
    found = remedy(world, "host_rewrite")
    assert not found.applicable
    assert directive in found.reason
    assert f"key file of ConfigMap {NS}/file-0" in found.reason


def test_http_1_0_is_cured_by_the_port_and_not_by_routes() -> None:
    found = {f"{entry.strategy} {entry.protocol}".strip(): entry.applicable for entry in nginx("").diagnose().remedies}
    assert found == {
        "service_protocol auto": True,
        "service_protocol tcp": True,
        "host_rewrite": False,
        "route_alias": False,
        "destination_rule": False,
    }


def test_oauth2_proxy_is_told_by_its_flag() -> None:
    world = through(OAUTH2, ["--pass-host-header=true", f"--upstream={UPSTREAM}"])
    (arguments,) = remedy(world, "host_rewrite").changes[0].after.values()
    assert arguments == [f"--upstream={UPSTREAM}", "--pass-host-header=false"]
    assert "help" not in {need.verb for need in world.asked}


def test_a_flag_that_would_send_a_name_that_is_none_is_refused() -> None:
    world = through(OAUTH2, ["--upstream=http://prometheus.monitoring:9090"])
    assert remedy(world, "host_rewrite").applicable
    world.add({**service("prometheus", 9090, "http-web", "10.96.0.7"), "metadata": {"name": "alias", "namespace": NS}})
    alias = world.get("Service", "alias")
    alias["spec"] = {**alias["spec"], "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}
    for kind, name in (("Deployment", "prom-label-proxy"), ("Pod", "prom-label-proxy-abc-1")):
        spec = world.get(kind, name)["spec"]
        container = (spec["template"]["spec"] if kind == "Deployment" else spec)["containers"][0]
        container["args"] = ["--upstream=http://alias.monitoring.svc.cluster.local.:9090"]
    for pod in (candidate for candidate in world.objects if candidate["kind"] == "Pod"):
        for sidecar in pod["spec"].get("initContainers", []):
            sidecar["image"] = "docker.io/istio/proxyv2:1.26.0"
    refused = remedy(world, "host_rewrite")
    assert not refused.applicable
    assert "QP101" in refused.reason


def test_oauth2_proxy_with_an_alpha_configuration_is_not_given_the_flag() -> None:
    alpha = f"upstreamConfig: {{upstreams: [{{id: prom, path: /, uri: '{UPSTREAM}'}}]}}"
    found = remedy(through(OAUTH2, ["--alpha-config=/alpha.yaml"], {"/alpha.yaml": alpha}), "host_rewrite")
    assert not found.applicable
    assert "`passHostHeader: false` for upstream prom in key file of ConfigMap monitoring/file-0" in found.reason


def test_a_proxy_that_rewrites_to_a_wrong_name_is_told_so() -> None:
    world = through(
        "thanosio/thanos:v0.39.0",
        ["query-frontend", "--query-frontend.downstream-url=http://prometheus.monitoring.svc.cluster.local.:9090"],
    )
    for pod in (candidate for candidate in world.objects if candidate["kind"] == "Pod"):
        for sidecar in pod["spec"].get("initContainers", []):
            sidecar["image"] = "docker.io/istio/proxyv2:1.26.0"
    found = remedy(world, "host_rewrite")
    assert not found.applicable
    assert "correct that URL" in found.reason


def test_a_proxy_without_an_option_is_told_so() -> None:
    found = remedy(through("quay.io/brancz/kube-rbac-proxy:v0.19.0", [f"--upstream={UPSTREAM}/"]), "host_rewrite")
    assert not found.applicable
    assert "has no option for the Host" in found.reason


def in_one_pod(outer: list[str], inner: list[str]) -> World:
    """oauth2-proxy on port 8080 in front of prom-label-proxy on port 8081 of the same pod."""
    world = through(OAUTH2, ["--upstream=http://127.0.0.1:8081", *outer])
    pod: dict[str, Any] = world.get("Pod", "prom-label-proxy-abc-1")
    args = ["--insecure-listen-address=127.0.0.1:8081", f"--upstream={UPSTREAM}", "--label=namespace", *inner]
    image = "quay.io/prometheuscommunity/prom-label-proxy:v0.15.0"
    pod["spec"]["containers"].append({"name": "enforcer", "image": image, "args": args})
    return world


@pytest.mark.parametrize(
    ("outer", "inner", "host"),
    [
        ([], [], f"{PROXY_HOST}:8080"),
        (["--pass-host-header=false"], [], "127.0.0.1:8081"),
        (["--pass-host-header=false"], [f"--rewrite-host-header-to={PROMETHEUS_HOST}"], PROMETHEUS_HOST),
    ],
)
def test_two_relays_in_one_pod_are_one_hop(outer: list[str], inner: list[str], host: str) -> None:
    path = in_one_pod(outer, inner).diagnose().path
    assert [hop.host for hop in path.hops] == [f"{PROXY_HOST}:8080", host]
    assert path.hops[0].step.relay.tenant_label == "namespace"


def test_what_the_user_leaves_out_stays_unknown() -> None:
    world = through(f"{NGINX}:1.27.1")
    known = KnownProxy(f"{NS}/prom-label-proxy", host="preserve")
    with pytest.raises(InputError, match="upstream: <URL>"):
        world.diagnose(QUESTION._replace(proxies=(known,)))
    told = known._replace(upstream=UPSTREAM)
    assert world.diagnose(QUESTION._replace(proxies=(told,))).judgement.verdict.code == "QP101"


def test_a_config_map_that_cannot_be_read_is_said_with_its_reason() -> None:
    world = nginx("")
    world.refused["ConfigMap"] = "403 Forbidden"
    with pytest.raises(InputError, match="ConfigMap monitoring/file-0 cannot be read: 403 Forbidden"):
        world.diagnose()


def test_a_config_map_is_asked_for_only_where_a_kind_needs_it() -> None:
    plain, file = World(), nginx(V1)
    plain.diagnose()
    file.diagnose()
    assert [need.name for need in file.asked if need.kind == "ConfigMap"] == ["file-0"]
    assert not [need for need in plain.asked if need.kind == "ConfigMap"]
