# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken over from an Envoy's `config_dump`: only what a judge compares, and never a secret."""

from __future__ import annotations

from typing import NamedTuple


class PolicyRule(NamedTuple):
    """One rule of an AuthorizationPolicy as Envoy has it. name: `ns[…]-policy[…]-rule[…]`.

    action: ALLOW, DENY or LOG. everyone: it matches every connection.
    """

    name: str
    action: str
    everyone: bool


class Chain(NamedTuple):
    """A filter chain with its match; an empty match field matches anything.

    kind       http, tcp, or "" for anything else
    table      the route table that an http chain asks for; "" where it has its own
    cluster    where a tcp chain, or the own table of an http chain, leads
    tls        it ends TLS; certificate: and demands a client certificate
    rbac       actions of its RBAC filters; an ALLOW filter without rules denies everyone
    rules      the rules of all of them
    """

    port: int
    transport: str
    protocols: tuple[str, ...]
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    kind: str
    table: str
    cluster: str
    tls: bool
    certificate: bool
    rbac: tuple[str, ...]
    rules: tuple[PolicyRule, ...]


class Listener(NamedTuple):
    """addresses: on which it listens. default: the chain for what no other matches, as a tuple of none or one."""

    name: str
    addresses: tuple[str, ...]
    port: int
    chains: tuple[Chain, ...]
    default: tuple[Chain, ...]


class RouteEntry(NamedTuple):
    """One route. conditional: it looks at more than that there is a path. cluster: "" where several share the traffic.

    host: the Host that it puts in place of the request's; "" = kept. answer: the status with which Envoy itself
    answers, else 0.
    """

    name: str
    conditional: bool
    cluster: str
    host: str
    answer: int


class VirtualHost(NamedTuple):
    name: str
    domains: tuple[str, ...]
    routes: tuple[RouteEntry, ...]


class Table(NamedTuple):
    """A route configuration. ports_ignored: the port of a Host plays no part (ignore_port_in_host_matching)."""

    name: str
    hosts: tuple[VirtualHost, ...]
    ports_ignored: bool


class Socket(NamedTuple):
    """How a cluster speaks to an endpoint. tls: "" (plaintext), "istio" (the workload's certificate) or "other".

    match: what the endpoint's metadata must have, as `key=value`; empty: any endpoint.
    """

    match: tuple[str, ...]
    tls: str
    sni: str
    identities: tuple[str, ...]


class Cluster(NamedTuple):
    name: str
    kind: str
    sockets: tuple[Socket, ...]


class EndpointEntry(NamedTuple):
    """labels: its metadata for the choice of a socket, as `key=value`."""

    cluster: str
    address: str
    port: int
    labels: tuple[str, ...]


class Dump(NamedTuple):
    """A sidecar's configuration, or the part of it that was asked for."""

    listeners: tuple[Listener, ...]
    tables: tuple[Table, ...]
    clusters: tuple[Cluster, ...]
    endpoints: tuple[EndpointEntry, ...]
