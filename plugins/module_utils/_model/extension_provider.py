# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio makes of the extension provider to which a CUSTOM AuthorizationPolicy leaves a decision.

Where istiod cannot use a provider it denies what the policy's rules match, on HTTP and on TCP. Sources (istio/istio
release-1.31): pilot/pkg/security/authz/builder/extauthz.go (processExtensionProvider, validateProviderName: only the
two kinds of ext_authz count, and a name is a DNS label), builder.go (buildHTTP, buildTCP, getBadCustomDenyRules;
several providers on one workload), pilot/pkg/model/telemetry_logging.go LookupCluster (the Service by its full name, in
one namespace; its ports play no part), pilot/pkg/features/security.go (the flag, off by default),
pkg/config/mesh/mesh.go ApplyMeshConfig (of two with a name, the later counts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import hostnames, objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Need, Object, Snapshot

HTTP, GRPC = "envoyExtAuthzHttp", "envoyExtAuthzGrpc"
SEVERAL_FLAG = "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS"
# istiod is at least as new as its sidecars; older ones took other names too.
NAMES_CHECKED_SINCE = (1, 31)
_LAST_PORT = 65535
_HEADERS = (
    "includeRequestHeadersInCheck",
    "includeHeadersInCheck",
    "headersToDownstreamOnDeny",
    "headersToDownstreamOnAllow",
    "headersToUpstreamOnAllow",
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Provider(NamedTuple):
    """kind    HTTP or GRPC, by which it is asked; "" where Istio has nothing to ask
    denies  why Istio denies in its place, to follow "names provider …, "; "" where it does not
    open    why it cannot be told what Istio does, likewise; "" where it can
    """

    kind: str
    denies: str = ""
    open: str = ""


Providers = Mapping[str, Provider]


def named(policy: Object) -> str:
    """The provider that a CUSTOM policy names."""
    return objects.text(objects.mapping(objects.spec(policy).get("provider")).get("name"))


def of_policies(config: Mesh, snapshot: Snapshot, server: Workload, selecting: Iterable[Object]) -> Providers:
    """By name: the providers of the CUSTOM policies among those that select a server. Raises NotReadError."""
    names = dict.fromkeys(named(obj) for obj in selecting if objects.spec(obj).get("action") == "CUSTOM")
    found = {name: _judged(config, snapshot, server, name) for name in names}
    if len(found) < 2:
        return found
    several = f"and other policies name other ones, which Istio denies unless istiod runs with {SEVERAL_FLAG}"
    return {name: one if one.denies else one._replace(open=several) for name, one in found.items()}


def _judged(config: Mesh, snapshot: Snapshot, server: Workload, name: str) -> Provider:
    if config.settings is None:
        return Provider("", open="and the mesh's settings could not be read")
    entries = map(objects.mapping, objects.sequence(config.settings.get("extensionProviders")))
    entry = next(iter([one for one in entries if objects.text(one.get("name")) == name][::-1]), None)
    if not name or entry is None:
        return Provider("", denies="which the mesh does not have")
    kind = next((kind for kind in (HTTP, GRPC) if kind in entry), "")
    if not kind:
        return Provider("", denies="which authorizes nothing")
    if not _NAME.fullmatch(name):
        versions = [pod.sidecar_version for pod in server.pods if pod.sidecar_version is not None]
        if any(version >= NAMES_CHECKED_SINCE for version in versions):
            return Provider(kind, denies="which is no name that Istio takes")
        return Provider(kind, open="which Istio 1.31 does not take for a name, and istiod's version is not known")
    settings = objects.mapping(entry[kind])
    if wrong := _wrong(settings):
        return Provider(kind, denies=f"which has {wrong}")
    denies, cannot_be_told = _service(config, snapshot, objects.text(settings.get("service")))
    return Provider(kind, denies, cannot_be_told)


def _wrong(settings: Mapping[str, Any]) -> str:
    """What of a provider's settings Istio does not take; "" where it takes them."""
    port = objects.text(settings.get("port")) if isinstance(settings.get("port"), str) else str(settings.get("port"))
    if not port.isdigit() or not 1 <= int(port) <= _LAST_PORT:
        return "no port"
    prefix = objects.text(settings.get("pathPrefix"))
    if prefix and not prefix.startswith("/"):
        return "a pathPrefix that does not begin with /"
    return next((f"* in {field}" for field in _HEADERS if "*" in objects.sequence(settings.get(field))), "")


def _service(config: Mesh, snapshot: Snapshot, service: str) -> tuple[str, str]:
    """Why Istio denies for want of the Service, and why that cannot be told. service: `host` or `namespace/host`."""
    where, _slash, host = service.rpartition("/")
    entries = (obj for obj in config.of("ServiceEntry") if host in objects.sequence(objects.spec(obj).get("hosts")))
    homes = {objects.namespace(obj) for obj in entries}
    if host.endswith(f".svc.{config.domain}") and (meant := hostnames.service_name(host, "", config.domain)):
        need = Need("list", "Service", meant[0])
        answer = snapshot.ask(need)
        if answer.problem:
            return "", f"and Services in namespace {meant[0]} could not be listed ({answer.problem})"
        homes |= {meant[0]} if snapshot.derived((need,), ServiceIndex).named(*meant) else set()
    if where in homes or (not where and len(homes) == 1):
        return "", ""
    if any(problem.startswith("ServiceEntry ") for problem in config.unknown):
        return "", "and ServiceEntries could not be listed"
    if where or not homes:
        return f"whose Service {service} does not exist", ""
    return f"whose Service {service} is in namespaces {' and '.join(sorted(homes))} alike", ""
