# SPDX-License-Identifier: GPL-3.0-or-later
"""Aliases of aliases and destinations with a port that is none: where Istio stops following, so does the model."""

from __future__ import annotations

import pytest
from _verdict.test_measured import add, last_hop, right, routes, tcp, to
from variations import Change, both, rewrite
from world import DOMAIN, NS, PROMETHEUS_HOST, Object, World, obj, service

PORTS = [{"name": "http", "port": 9090}]
INNER = f"inner.{NS}.{DOMAIN}"


def alias(name: str, of: str, ports: list[Object] | None = None, namespace: str = NS) -> Object:
    spec = {"type": "ExternalName", "externalName": of, "ports": PORTS if ports is None else ports}
    return obj("Service", name, spec, namespace=namespace)


def chain(ports: list[Object] | None = None) -> Change:
    """outer -> inner -> prometheus."""
    return add(alias("inner", PROMETHEUS_HOST, ports), alias("outer", INNER, ports))


def hide(name: str, scope: str) -> Change:
    annotations = {"networking.istio.io/exportTo": scope}
    return lambda world: world.get("Service", name)["metadata"].update(annotations=annotations)


TO_OUTER = routes("v", [PROMETHEUS_HOST], http=to("outer"))
NO_PORT = to("prometheus", port={})

# name: what differs from the stack, kind of the last hop's route, its cluster
ROUTES: dict[str, tuple[Change, str, str]] = {
    "a Host by way of two aliases": (both(chain(), rewrite("outer")), "service", f"outbound|9090||{PROMETHEUS_HOST}"),
    "an alias as destination": (
        both(chain(), routes("v", [PROMETHEUS_HOST], http=to("inner")), right),
        "service",
        f"outbound|9090||{PROMETHEUS_HOST}",
    ),
    "an alias of an alias as destination": (both(chain(), TO_OUTER, right), "no_cluster", f"outbound|9090||{INNER}"),
    "an alias of an alias as destination of TCP": (
        both(tcp, chain([]), routes("v", [PROMETHEUS_HOST], tcp=to("outer"))),
        "no_cluster",
        f"outbound|9090||{INNER}",
    ),
    "an alias of itself as destination": (
        both(add(alias("outer", f"outer.{NS}.{DOMAIN}")), TO_OUTER, right),
        "no_cluster",
        f"outbound|9090||outer.{NS}.{DOMAIN}",
    ),
    "an alias as destination that exportTo hides": (
        both(add(alias("outer", PROMETHEUS_HOST)), hide("outer", "elsewhere"), TO_OUTER, right),
        "no_cluster",
        f"outbound|9090||outer.{NS}.{DOMAIN}",
    ),
    "an alias as destination that exportTo shows": (
        both(add(alias("outer", PROMETHEUS_HOST)), hide("outer", "."), TO_OUTER, right),
        "service",
        f"outbound|9090||{PROMETHEUS_HOST}",
    ),
    "port: {}": (
        both(routes("v", [PROMETHEUS_HOST], http=NO_PORT), right),
        "no_cluster",
        f"outbound|0||{PROMETHEUS_HOST}",
    ),
    "port: {} on TCP": (
        both(tcp, routes("v", [PROMETHEUS_HOST], tcp=NO_PORT)),
        "no_cluster",
        f"outbound|0||{PROMETHEUS_HOST}",
    ),
    "no port at all": (
        both(routes("v", [PROMETHEUS_HOST], http=to("prometheus", port=None)), right),
        "service",
        f"outbound|9090||{PROMETHEUS_HOST}",
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_the_route_is_the_one_that_istiod_makes(name: str) -> None:
    change, kind, cluster = ROUTES[name]
    route = last_hop(change).route
    assert (route.kind, route.cluster) == (kind, cluster), route.why


def elsewhere(world: World) -> None:
    """A Host of this namespace that stands for a Service of another one."""
    other = service("thanos", 9090, "http", "10.96.0.9")
    other["metadata"]["namespace"] = "elsewhere"
    world.add(other, alias("outer", f"thanos.elsewhere.{DOMAIN}"))
    rewrite("outer")(world)


def test_the_namespace_that_an_alias_leads_to_is_read() -> None:
    route = last_hop(elsewhere).route
    assert (route.kind, route.cluster) == ("other_service", f"outbound|9090||thanos.elsewhere.{DOMAIN}")


def test_a_host_that_leads_nowhere_else_costs_no_request() -> None:
    plain, by_alias = World(), World()
    right(plain)
    both(chain(), rewrite("outer"))(by_alias)
    plain.diagnose()
    by_alias.diagnose()
    assert len(by_alias.asked) == len(plain.asked)
