# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of plays and proofs on the lab's API server, behind a proxy that harms requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from fault_matrix.play import Objects, is_write
from fault_matrix.rows import EVERYTHING, Row
from meshlab.api import Api
from stage.place import NAMESPACE
from stage.query import UID

from ansible_collections.meshops.istio_remediation.tests.unit._kube.api_server import Request, is_dry
from faults import leases
from faults.proxy import Proxy

# What the plays of this stage write to, as (API version, kind, plural).
KINDS = (
    ("v1", "Service", "services"),
    ("v1", "ConfigMap", "configmaps"),
    ("coordination.k8s.io/v1", "Lease", "leases"),
    ("networking.istio.io/v1", "DestinationRule", "destinationrules"),
    ("networking.istio.io/v1", "VirtualService", "virtualservices"),
)
REVIEWS = "/authorization.k8s.io/"


class Watched:
    """The requests of a module to the lab's API server, and what harms them."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.options = {"host": proxy.url, "api_key": "unused", "grafana_namespace": NAMESPACE, "datasource_uid": UID}
        # exec is a stream of its own length each time; the simulated matrix strikes there.
        self.options |= {"read_envoy": False}

    def watch(self) -> None:
        self._proxy.watch()

    def requests(self) -> list[Request]:
        return [_request(*seen) for seen in self._proxy.seen().requests]

    @contextmanager
    def striking(self, row: Row, index: int) -> Iterator[None]:
        spared = "" if "GET" in row.methods else REVIEWS
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": row.code, "reason": row.reason}
        more = {"status": row.code, "body": {**body, "message": row.message}, "spared": spared, "lasting": row.lasting}
        more["headers"] = {"Retry-After": "0"} if row.code == 429 else {}
        self._proxy.harm(row.does, index, tuple(row.methods & EVERYTHING), **more)
        try:
            yield
        finally:
            self._proxy.heal()


class Queried(Watched):
    """See `fault_matrix.verified.Watched`, for proofs that raise no log level: scenario raise_log_level kills those."""

    def __init__(self, proxy: Proxy, truth: str) -> None:
        super().__init__(proxy)
        self.truth = truth
        self.options |= {"requests": 2}

    def left(self) -> list[str]:
        return []


class Lab(Watched):
    """See `fault_matrix.play.Stage`, for fixes that replace no pods."""

    keeps_uids = False

    def __init__(self, api: Api, proxy: Proxy) -> None:
        super().__init__(proxy)
        self._api = api
        self.options |= {"wait_timeout": 10}

    def objects(self) -> Objects:
        found: Objects = {}
        for version, kind, plural in KINDS:
            for obj in self._api.get(self._base(version, kind))["items"]:
                obj |= {"apiVersion": version, "kind": kind}
                found[plural, NAMESPACE, obj["metadata"]["name"]] = obj
        return found

    def restore(self, objects: Objects) -> None:
        now = self.objects()
        for key in now.keys() - objects.keys():
            self._api.request("DELETE", self._api.path(now[key]))
        for key, wanted in objects.items():
            found = now.get(key)
            if found is None:
                metadata = {name: part for name, part in wanted["metadata"].items() if name in ("name", "namespace")}
                metadata["labels"] = wanted["metadata"].get("labels") or {}
                path = self._api.path(wanted).rpartition("/")[0]
                self._api.request("POST", path, {**wanted, "metadata": metadata})
            elif found["metadata"]["resourceVersion"] != wanted["metadata"]["resourceVersion"]:
                metadata = {**wanted["metadata"], "resourceVersion": found["metadata"]["resourceVersion"]}
                self._api.request("PUT", self._api.path(wanted), {**wanted, "metadata": metadata})
        self.watch()

    def committed(self) -> list[Request]:
        seen = self._proxy.seen()
        asked = zip(seen.requests, seen.statuses, strict=True)
        # 0: the server was not asked, or has not answered.
        done = [_request(*request) for request, status in asked if 200 <= status < 300]
        return [request for request in done if is_write(request) and not is_dry(request)]

    def expire_locks(self) -> None:
        leases.expire(self._api)

    def _base(self, version: str, kind: str) -> str:
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "", "namespace": NAMESPACE}}
        return self._api.path(manifest).rstrip("/")


def _request(method: str, target: str, body: str) -> Request:
    url = urlsplit(target)
    return Request(method, url.path, dict(parse_qsl(url.query)), {}, json.loads(body) if body else None, (), ())
