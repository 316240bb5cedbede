# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes made by chance, the same from the same seed: everything that decides how a sidecar sends a request.

A mesh lives in a slot: two namespaces with the same three pods for every mesh, a client, a server with a sidecar and a
server without one. Only Services, Istio's objects and a label of a pod differ. Ports and foreign names carry the slot's
number, so that slots which are tested side by side do not touch each other.

Left out is what holds for the whole mesh, because the lab is shared: enableAutoMtls, the mesh's outbound policy and
objects of the root namespace. docs/truth-table.md has them measured one by one.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

Object = dict[str, Any]
DOMAIN = "svc.cluster.local"
# The names of ExternalName Services: one for a Service, one for the other.
ALIAS, OUTER = "alias", "outer"
TLS_MODE = "security.istio.io/tlsMode"
SERVER, BARE, BOTH = {"app": "server"}, {"app": "bare"}, {"tier": "back"}
# Declared protocols, (name, appProtocol), weighted by how often people write them.
DECLARED = (
    *[("http-web", None)] * 6,
    *[("http", None), ("tcp-web", None), ("tcp", None), ("metrics", None), ("web", None)] * 2,
    *[("grpc", None), ("grpc-webx", None), ("http2-a", None), ("https", None), ("tls-a", None), ("HTTP-a", None)],
    *[("redis", None), ("mongo-a", None), ("udp-a", None), ("http_proxy", None)],
    *[("http-web", "tcp"), ("http-web", "example.com/auto"), ("web", "http"), ("web", "HTTP"), ("web", "grpc")],
    *[("web", "kubernetes.io/h2c"), ("web", "kubernetes.io/ws"), ("web", "kubernetes.io/wss"), ("http-a", "https")],
)


class Slot(NamedTuple):
    """Where a mesh lives."""

    number: int

    @property
    def client(self) -> str:
        return f"diff-{self.number}-client"

    @property
    def server(self) -> str:
        return f"diff-{self.number}-server"

    @property
    def ports(self) -> tuple[int, int, int]:
        return 9090 + 100 * self.number, 8080 + 100 * self.number, 27017 if self.number == 1 else 7000 + self.number

    @property
    def foreign(self) -> tuple[str, str]:
        return f"proxy-{self.number}.example.com", f"grafana-{self.number}.example.org"


def objects(slot: Slot, seed: int) -> list[Object]:
    """The objects of one mesh."""
    return _Maker(slot, seed).mesh()


def _object(api: str, kind: str, namespace: str, name: str, spec: Object) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


class _Maker:
    def __init__(self, slot: Slot, seed: int) -> None:
        self.slot, self.chance = slot, Random(seed)
        self.services: list[Object] = []

    def often(self, share: float) -> bool:
        return self.chance.random() < share

    def some(self, *values: Any) -> Any:
        return self.chance.choice(values)

    def mesh(self) -> list[Object]:
        self.services = [self.service(name) for name in ("alpha", "beta", "gamma")[: self.some(1, 2, 2, 3)]]
        found = list(self.services)
        if self.often(0.25):
            found.append(self.service(self.some("alpha", "omega"), self.slot.client))
        if self.often(0.2):
            found.append(self.alias(ALIAS, "alpha"))
            if self.often(0.4):
                found.append(self.alias(OUTER, ALIAS))
        for share, make in (
            (0.5, self.destination_rule),
            (0.2, self.destination_rule),
            (0.5, self.virtual_service),
            (0.2, self.virtual_service),
            (0.35, self.sidecar),
            (0.5, self.namespace_authentication),
            (0.4, self.workload_authentication),
            (0.1, self.workload_authentication),
            (0.4, self.authorization),
            (0.25, self.authorization),
            (0.06, self.service_entry),
            (0.08, self.other_tls_mode),
        ):
            if self.often(share):
                found.append(make(len(found)))
        return found

    def full(self, name: str, namespace: str = "") -> str:
        return f"{name}.{namespace or self.slot.server}.{DOMAIN}"

    def port(self, number: int) -> Object:
        name, app_protocol = self.some(*DECLARED)
        declared: Object = {"name": name.lower().replace("_", "-"), "port": number}
        if name != declared["name"]:
            declared["appProtocol"] = name
        if app_protocol:
            declared["appProtocol"] = app_protocol
        if self.often(0.2):
            declared["targetPort"] = self.some(9999, "named", self.slot.ports[0])
        return declared

    def service(self, name: str, namespace: str = "") -> Object:
        numbers = self.slot.ports[:1] if self.often(0.6) else self.slot.ports[: self.some(2, 3)]
        ports = [self.port(number) for number in numbers]
        for index, port in enumerate(ports[1:]):
            port["name"] = f"{port['name']}-{index}"
        if len(ports) == 1 and self.often(0.08):
            del ports[0]["name"]
        spec: Object = {"ports": ports, "selector": self.some(SERVER, SERVER, SERVER, BOTH, BARE)}
        if self.often(0.2):
            spec["clusterIP"] = "None"
        found = _object("v1", "Service", namespace or self.slot.server, name, spec)
        if self.often(0.05):
            scope = self.some(".", "*", self.slot.client, "elsewhere")
            found["metadata"]["annotations"] = {"networking.istio.io/exportTo": scope}
        return found

    def alias(self, name: str, of: str) -> Object:
        spec = {"type": "ExternalName", "externalName": self.full(of), "ports": [self.port(self.slot.ports[0])]}
        return _object("v1", "Service", self.slot.server, name, spec)

    def host(self) -> str:
        """A host as people write it in Istio's objects, of a Service in the server's namespace mostly."""
        name = self.some(*(service["metadata"]["name"] for service in self.services))
        if self.often(0.06):
            name = self.some(ALIAS, OUTER)
        return str(self.some(self.full(name), self.full(name), name, f"{name}.{self.slot.server}"))

    def tls(self) -> Object:
        return dict(self.some({}, {"mode": "DISABLE"}, {"mode": "SIMPLE"}, {"mode": "ISTIO_MUTUAL"}))

    def traffic_policy(self) -> Object:
        policy: Object = {}
        if self.often(0.6):
            policy["tls"] = self.tls()
        if self.often(0.3):
            level: Object = {"port": {"number": self.some(*self.slot.ports[:2])}}
            level.update({"tls": self.tls()} if self.often(0.6) else {"loadBalancer": {"simple": "RANDOM"}})
            policy["portLevelSettings"] = [level]
        return policy

    def destination_rule(self, index: int) -> Object:
        wide = self.some(f"*.{self.slot.server}.{DOMAIN}", "*.local", f"*.{DOMAIN}")
        spec: Object = {"host": wide if self.often(0.3) else self.host()}
        policy = self.traffic_policy()
        if policy:
            spec["trafficPolicy"] = policy
        if self.often(0.3):
            spec["subsets"] = [{"name": "v1", "labels": {"app": "server"}}]
            if self.often(0.5):
                spec["subsets"][0]["trafficPolicy"] = self.traffic_policy()
        if self.often(0.15):
            spec["workloadSelector"] = {"matchLabels": {"app": self.some("client", "other")}}
        self.export(spec)
        namespace = self.some(self.slot.server, self.slot.server, self.slot.client)
        return _object("networking.istio.io/v1", "DestinationRule", namespace, f"rule-{index}", spec)

    def export(self, spec: Object) -> None:
        if self.often(0.2):
            spec["exportTo"] = self.some(["."], ["*"], [self.slot.client], ["elsewhere"])

    def virtual_service(self, index: int) -> Object:
        names = [self.host()]
        if self.often(0.5):
            names.append(self.some(self.slot.foreign[0], self.host(), f"*.{self.slot.server}.{DOMAIN}"))
        if self.often(0.15):
            names = [self.some(*self.slot.foreign)]
        spec: Object = {"hosts": list(dict.fromkeys(names))}
        if self.often(0.8):
            spec["http"] = [self.http_rule() for _count in range(self.some(1, 1, 2))]
        if "http" not in spec or self.often(0.2):
            spec["tcp"] = [self.tcp_rule()]
        if self.often(0.1):
            spec["gateways"] = self.some(["mesh"], ["some/gateway"], ["mesh", "some/gateway"])
        self.export(spec)
        namespace = self.some(self.slot.server, self.slot.server, self.slot.client)
        return _object("networking.istio.io/v1", "VirtualService", namespace, f"routes-{index}", spec)

    def match(self) -> Object:
        match: Object = {}
        if self.often(0.6):
            match["port"] = self.some(*self.slot.ports[:2])
        if self.often(0.3):
            match["sourceLabels"] = {"app": self.some("client", "client", "other")}
        if self.often(0.1):
            match["sourceNamespace"] = self.some(self.slot.client, "elsewhere")
        return match

    def http_rule(self) -> Object:
        rule: Object = {"route": [{"destination": self.destination()}]}
        match = self.match() if self.often(0.6) else {}
        if self.often(0.15):
            match["uri"] = self.some({"prefix": "/"}, {"prefix": "/api"}, {"exact": "/x"})
        if self.often(0.05):
            match["method"] = {"exact": "GET"}
        if match:
            rule["match"] = [match]
        if self.often(0.2):
            rule["rewrite"] = {"authority": self.full("alpha")}
        elif self.often(0.1):
            rule["headers"] = {"request": {"set": {"Host": self.full("beta")}}}
        if self.often(0.05):
            rule["route"] = [{"destination": self.destination(), "weight": share} for share in (30, 70)]
        elif self.often(0.04):
            del rule["route"]
            rule.pop("rewrite", None)
            rule.update(self.some({"redirect": {"authority": "x.example"}}, {"directResponse": {"status": 418}}))
        return rule

    def tcp_rule(self) -> Object:
        rule: Object = {"route": [{"destination": self.destination()}]}
        if self.often(0.4) and (match := {k: v for k, v in self.match().items() if k != "sourceNamespace"}):
            rule["match"] = [match]
        return rule

    def destination(self) -> Object:
        found: Object = {"host": self.host()}
        if self.often(0.5):
            found["port"] = {"number": self.some(self.slot.ports[0], self.slot.ports[0], self.slot.ports[1])}
        if self.often(0.2):
            found["subset"] = self.some("v1", "v1", "v9")
        return found

    def sidecar(self, index: int) -> Object:
        spec: Object = {}
        if self.often(0.6):
            spec["workloadSelector"] = {"labels": {"app": self.some("client", "client", "other")}}
        if self.often(0.6):
            spec["outboundTrafficPolicy"] = self.some({"mode": "REGISTRY_ONLY"}, {"mode": "ALLOW_ANY"}, {})
        if self.often(0.8):
            spec["egress"] = []
            if self.often(0.4):
                port = {"number": self.some(*self.slot.ports[:2]), "name": "p", "protocol": self.some("TCP", "HTTP")}
                spec["egress"].append({"port": port, "hosts": [self.egress_host()]})
            hosts = [self.egress_host() for _count in range(self.some(1, 1, 2))]
            if self.often(0.1):
                hosts.append(f"~{self.slot.server}/{self.full('alpha')}")
            spec["egress"].append({"hosts": hosts})
        return _object("networking.istio.io/v1", "Sidecar", self.slot.client, f"scope-{index}", spec)

    def egress_host(self) -> str:
        name = self.some(*(service["metadata"]["name"] for service in self.services))
        home, full = self.slot.server, self.full(name)
        return str(self.some("*/*", "./*", f"{home}/*", f"{home}/{full}", f"*/{full}"))

    def mode(self) -> Object:
        return {"mode": self.some("STRICT", "STRICT", "PERMISSIVE", "DISABLE", "UNSET")}

    def namespace_authentication(self, index: int) -> Object:
        spec = {"mtls": self.mode()}
        return _object("security.istio.io/v1", "PeerAuthentication", self.slot.server, f"default-{index}", spec)

    def workload_authentication(self, index: int) -> Object:
        spec: Object = {"selector": {"matchLabels": self.some(SERVER, SERVER, BOTH, {"app": "other"})}}
        if self.often(0.7):
            spec["mtls"] = self.mode()
        if self.often(0.5):
            spec["portLevelMtls"] = {str(self.some(*self.slot.ports[:2], 9999)): self.mode()}
        return _object("security.istio.io/v1", "PeerAuthentication", self.slot.server, f"workload-{index}", spec)

    def authorization(self, index: int) -> Object:
        spec: Object = {"action": self.some("ALLOW", "ALLOW", "DENY", "AUDIT")}
        if self.often(0.9):
            spec["rules"] = [self.rule() for _count in range(self.some(1, 1, 2))]
        if self.often(0.4):
            spec["selector"] = {"matchLabels": self.some(SERVER, {"app": "other"})}
        return _object("security.istio.io/v1", "AuthorizationPolicy", self.slot.server, f"policy-{index}", spec)

    def rule(self) -> Object:
        rule: Object = {}
        if self.often(0.6):
            rule["to"] = [{"operation": self.operation()} for _count in range(self.some(1, 1, 2))]
        if self.often(0.5):
            rule["from"] = [{"source": self.source()} for _count in range(self.some(1, 1, 2))]
        if self.often(0.2):
            rule["when"] = [
                self.some(
                    {"key": "request.headers[x-tenant]", "values": ["a"]},
                    {"key": "source.namespace", "values": [self.slot.client]},
                    {"key": "request.auth.claims[iss]", "notValues": ["x"]},
                )
            ]
        return rule

    def operation(self) -> Object:
        return dict(
            self.some(
                {"methods": ["GET", "POST"]},
                {"paths": ["/api/*"]},
                {"ports": [str(self.slot.ports[0])]},
                {"methods": ["DELETE"], "ports": [str(self.slot.ports[0])]},
                {"notMethods": ["DELETE"]},
                {"hosts": ["x"], "notPaths": ["/admin"]},
            )
        )

    def source(self) -> Object:
        return dict(
            self.some(
                {"principals": [f"cluster.local/ns/{self.slot.client}/sa/default"]},
                {"namespaces": [self.slot.client]},
                {"requestPrincipals": ["*"]},
                {"notRequestPrincipals": ["x/y"]},
                {"namespaces": [self.slot.client], "requestPrincipals": ["*"]},
                {"ipBlocks": ["10.0.0.0/8"]},
            )
        )

    def other_tls_mode(self, _index: int) -> Object:
        """The server's pod without the label by which clients expect mTLS: a patch of the pod that is there."""
        found = _object("v1", "Pod", self.slot.server, "server", {})
        found["metadata"]["labels"] = {TLS_MODE: "disabled"}
        return found

    def service_entry(self, index: int) -> Object:
        host = self.some(*self.slot.foreign)
        ports = [{"number": self.slot.ports[0], "name": "http", "protocol": "HTTP"}]
        spec = {"hosts": [host], "location": "MESH_EXTERNAL", "resolution": "NONE", "ports": ports}
        return _object("networking.istio.io/v1", "ServiceEntry", self.slot.server, f"entry-{index}", spec)
