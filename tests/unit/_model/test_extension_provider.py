# SPDX-License-Identifier: GPL-3.0-or-later
"""Extension providers: where Istio cannot use one it denies, and where that cannot be told nobody is accused."""

from __future__ import annotations

from typing import Any

import pytest
from variations import Change, both, rewrite
from world import NS, PROMETHEUS_HOST, QUESTION, World, istio, obj

from ansible_collections.meshops.istio_remediation.plugins.module_utils._diagnose import diagnose
from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.engine import Judgement

HOST = f"ext-authz.{NS}.svc.cluster.local"
HERE = {"name": "ext-authz", "envoyExtAuthzHttp": {"service": HOST, "port": 8000}}


def provider(**changes: Any) -> dict[str, Any]:
    """HERE with other settings."""
    return {**HERE, "envoyExtAuthzHttp": {**HERE["envoyExtAuthzHttp"], **changes}}


def custom(*providers: dict[str, Any], name: str = "ext-authz") -> Change:
    """A CUSTOM policy for Prometheus, in a mesh with these providers and the Service of HERE."""

    def change(world: World) -> None:
        world.mesh.update(extensionProviders=list(providers))
        world.add(obj("Service", "ext-authz", {"ports": [{"port": 8000}]}))
        world.add(istio("AuthorizationPolicy", f"for-{name}", policy(name)))
        rewrite(PROMETHEUS_HOST)(world)

    return change


def policy(name: str) -> dict[str, Any]:
    selector = {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    rules = [{"to": [{"operation": {"paths": ["/api/*"]}}]}]
    return {"selector": selector, "action": "CUSTOM", "provider": {"name": name}, "rules": rules}


def entry(host: str, namespace: str) -> Change:
    return lambda world: world.add(istio("ServiceEntry", "entry", {"hosts": [host], "ports": []}, namespace))


def judged(*changes: Change) -> Judgement:
    world = World()
    both(*changes)(world)
    return world.diagnose().judgement


NONE = "gone.elsewhere.svc.cluster.local"
DENIES: dict[str, tuple[Change, str]] = {
    "the mesh has none": (custom(), "which the mesh does not have"),
    "another kind": (custom({"name": "ext-authz", "zipkin": {"service": HOST}}), "which authorizes nothing"),
    "no such Service": (custom(provider(service=NONE)), f"whose Service {NONE} does not exist"),
    "a short name": (custom(provider(service=f"ext-authz.{NS}")), "does not exist"),
    "another namespace's": (custom(provider(service=f"other/{HOST}")), "does not exist"),
    "an unknown outside name": (custom(provider(service="authz.example.com")), "does not exist"),
    "two Services of that name": (both(custom(HERE), entry(HOST, "other")), "monitoring and other alike"),
    "no port": (custom(provider(port=0)), "which has no port"),
    "a prefix without /": (custom(provider(pathPrefix="check")), "pathPrefix"),
    "a bare *": (custom(provider(headersToUpstreamOnAllow=["*"])), "* in headersToUpstreamOnAllow"),
    "a name in capitals": (custom({**HERE, "name": "Ext.Authz"}, name="Ext.Authz"), "no name that Istio takes"),
    "the later of two": (custom(HERE, provider(service=NONE)), "does not exist"),
}


@pytest.mark.parametrize("name", DENIES)
def test_istio_denies_in_place_of_a_provider_that_it_cannot_use(name: str) -> None:
    change, why = DENIES[name]
    found = judged(change)
    assert (found.verdict.status, found.verdict.code) == ("broken", "QP503")
    assert why in found.verdict.summary
    assert "so it denies prom-label-proxy" in found.verdict.summary


ASKED: dict[str, Change] = {
    "a Service": custom(HERE),
    "a Service without that port": custom(provider(port=1)),
    "a Service by its namespace": custom(provider(service=f"{NS}/{HOST}")),
    "a port as text": custom(provider(port="8000")),
    "a ServiceEntry": both(custom(provider(service="authz.example.com")), entry("authz.example.com", "other")),
    "a ServiceEntry by its namespace": both(custom(provider(service=f"{NS}/{HOST}")), entry(HOST, "other")),
    "by gRPC": custom({"name": "ext-authz", "envoyExtAuthzGrpc": {"service": HOST, "port": 9000}}),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_provider_says_is_left_open(name: str) -> None:
    found = judged(ASKED[name])
    assert found.verdict.status == "healthy"
    assert "leaves prom-label-proxy to provider 'ext-authz'" in str(found.findings)


def unread(kind: str) -> Change:
    return lambda world: world.refused.update({kind: "403 Forbidden"})


def old_sidecar(world: World) -> None:
    container = world.get("Pod", "prometheus-abc-1")["spec"]["initContainers"][0]
    container["image"] = "docker.io/istio/proxyv2:1.30.1"


OPEN: dict[str, tuple[Change, str]] = {
    "settings": (both(custom(HERE), unread("MeshConfig")), "the mesh's settings could not be read"),
    "ServiceEntries": (
        both(custom(provider(service="authz.example.com")), unread("ServiceEntry")),
        "ServiceEntries could not be listed",
    ),
    "an older istiod": (
        both(custom({**HERE, "name": "Ext.Authz"}, name="Ext.Authz"), old_sidecar),
        "istiod's version is not known",
    ),
    "several providers": (
        both(custom(HERE, {**HERE, "name": "b"}), custom(HERE, {**HERE, "name": "b"}, name="b")),
        "unless istiod runs with PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS",
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_where_it_cannot_be_told_the_verdict_is_open_with_the_reason(name: str) -> None:
    change, why = OPEN[name]
    found = judged(change)
    assert found.verdict.status == "inconclusive"
    assert any(why in finding.summary for finding in found.findings if finding.code == "QP503")


def test_services_that_cannot_be_listed_accuse_nobody() -> None:
    world = World()
    custom(provider(service=NONE))(world)
    snapshot = world.snapshot()
    assert "list Service elsewhere" in snapshot.answers()
    answer = snapshot.answers()["list Service elsewhere"]._replace(problem="403 Forbidden")
    found = diagnose(QUESTION, snapshot.extended({"list Service elsewhere": answer})).judgement
    assert (found.verdict.status, found.verdict.code) == ("inconclusive", "QP503")
    assert "Services in namespace elsewhere could not be listed (403 Forbidden)" in found.verdict.summary


ON_TCP: dict[str, tuple[Change, str, str]] = {
    "asked by HTTP": (custom(HERE), "at_risk", "everyone passes without its check"),
    "no such Service": (custom(provider(service=NONE)), "broken", "so it denies; it loses paths on TCP"),
    "several": (OPEN["several providers"][0], "inconclusive", "what it does on TCP cannot be told"),
}


@pytest.mark.parametrize("name", ON_TCP)
def test_on_tcp_a_provider_is_skipped_only_where_istio_could_use_it(name: str) -> None:
    change, status, text = ON_TCP[name]
    found = judged(change, lambda world: world.port("prometheus", appProtocol="tcp"))
    assert (found.verdict.status, found.verdict.code) == (status, "QP501")
    assert text in found.verdict.summary


def test_a_policy_for_others_is_not_concerned_and_costs_no_request() -> None:
    def elsewhere(world: World) -> None:
        selector = world.get("AuthorizationPolicy", "for-ext-authz")["spec"]["selector"]
        selector["matchLabels"] = {"app.kubernetes.io/name": "other"}

    world = World()
    both(custom(provider(service=NONE)), elsewhere)(world)
    assert world.diagnose().judgement.verdict.status == "healthy"
    assert not [need for need in world.asked if need.namespace == "elsewhere"]
