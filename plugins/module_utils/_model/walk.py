# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk: from Grafana's data source URL, hop by hop, to the server that answers.

Two passes. The first finds how the path is wired: URL -> Service -> pods -> what listens there -> its upstream URL.
Hosts play no part in it. The second carries the Host along and predicts each hop from the mesh's configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import (
    datasources,
    discovery,
    hostnames,
    mesh,
    objects,
    peer_authentication,
    protocol,
    route,
    sidecar_scope,
    transport,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.hostnames import Endpoint
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.interception import skips_inbound
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.mesh import Mesh, service_exported_to
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Pod, Service, Workload
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Hop, Path, Step
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import (
    InputError,
    KnownProxy,
    Question,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import (
    PRESERVE,
    UPSTREAM,
    Arrival,
    Recognise,
    Relay,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.services import ServiceIndex
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    Answer,
    Need,
    Snapshot,
)

MAX_HOPS = 6
# Services whose pods are looked through for an address, so that the number of requests stays bounded.
MAX_TRIED = 5
END_OF_PATH = "none"
_THIS_POD = ("localhost", "127.0.0.1", "::1")


def walk(question: Question, snapshot: Snapshot, recognise: Recognise) -> Path:
    """The path with its predictions. Raises NotReadError until all is read, InputError where it cannot be followed."""
    grafana = discovery.grafana(question, snapshot)
    datasource = datasources.find(question, snapshot, grafana)
    steps: list[Step] = []
    client, relay, url = grafana, None, datasource.url
    while url:
        if len(steps) == MAX_HOPS:
            raise InputError(
                f"The path has more than {MAX_HOPS} hops: {' -> '.join(step.url for step in steps)}. Is it a loop?"
            )
        step = _step(question, snapshot, recognise, client, relay, url)
        steps.append(step)
        client, relay, url = step.server, step.relay, step.relay.upstream
    if not any(
        workload.mesh in ("sidecar", "mixed", "ambient") for workload in (grafana, *(step.server for step in steps))
    ):
        raise InputError(
            f"No workload on the path from {grafana} to {steps[-1].server} is in the mesh: none has an istio-proxy "
            "container. "
            "What fails here is not Istio's doing."
        )
    config = mesh.read(
        question,
        snapshot,
        clients=[step.client.namespace for step in steps],
        servers=[step.server.namespace for step in steps],
    )
    hops: list[Hop] = []
    host = steps[0].endpoint.authority
    for step in steps:
        hop = predict(config, snapshot, step, host)
        hops.append(hop)
        host = _host_after(step.relay, hop.route.host_after)
    return Path(datasource, grafana, tuple(hops), config, config.unknown)


def _step(
    question: Question, snapshot: Snapshot, recognise: Recognise, client: Workload, relay: Relay | None, url: str
) -> Step:
    sender = f"The data source of {client}" if relay is None else f"{relay.kind} in {client}"
    endpoint = hostnames.endpoint(url)
    if endpoint is None:
        raise InputError(f"{sender} sends queries to {url!r}, which is no http or https URL.")
    domain = question.cluster_domain
    named = hostnames.service_name(endpoint.host, client.namespace, domain) or hostnames.pod_name(endpoint.host, domain)
    pod = None
    if named is None and (found := _at_address(snapshot, client.namespace, endpoint)) is not None:
        named, pod = (found[0].namespace, found[0].name), found[1]
    if named is None:
        raise InputError(
            f"{sender} sends queries to {endpoint.host!r}, which is not the name of a Service in this cluster, nor an "
            f"address that a Service in namespace {client.namespace} has or leads to. Only paths through Services are "
            "understood; check the URL, or set cluster_domain."
        )
    namespace, name = named
    answer = snapshot.ask(Need("list", "Service", namespace))
    if answer.problem:
        raise InputError(f"Services in namespace {namespace} cannot be read: {answer.problem}.")
    services = snapshot.derived((Need("list", "Service", namespace),), ServiceIndex)
    service = services.named(namespace, name)
    if service is None:
        raise InputError(f"{sender} sends queries to {url}, but Service {namespace}/{name} does not exist.")
    port = service.port(endpoint.port)
    if port is None:
        offered = ", ".join(str(entry.number) for entry in service.ports) or "none"
        raise InputError(
            f"{sender} sends queries to {url}, but Service {namespace}/{name} has no port {endpoint.port} (it has: "
            f"{offered})."
        )
    server = _server(snapshot, service)
    return Step(
        client,
        relay,
        url,
        endpoint,
        service,
        port,
        server,
        services,
        _relay(question, snapshot, recognise, server, port, url),
        pod,
    )


def _at_address(snapshot: Snapshot, namespace: str, endpoint: Endpoint) -> tuple[Service, Pod | None] | None:
    """The Service that has an address and port, or that leads to the pod which has it; None where the host is a name or
    one of many Services would have to be tried. Raises NotReadError.

    Of several that lead to a pod, a headless one counts first: its listener takes the connection if it has one there.
    """
    try:
        ip_address(endpoint.host)
    except ValueError:
        return None
    need = Need("list", "Service", namespace)
    snapshot.require(need)
    on_port = snapshot.derived((need,), ServiceIndex).on_port(endpoint.port)
    for service in on_port:
        if endpoint.host in service.cluster_ips:
            return service, None
    leading = [service for service in on_port if service.selector]
    leading.sort(key=lambda entry: (not _own_listener(entry, endpoint.port), entry.created))
    for service in leading[:MAX_TRIED]:
        pods = discovery.pods_of(snapshot, namespace, dict(service.selector))
        port = service.port(endpoint.port)
        for pod in () if isinstance(pods, str) else pods:
            if port and pod.ip == endpoint.host and objects.target_port(port, pod) == endpoint.port:
                return service, pod
    return None


def _own_listener(service: Service, number: int) -> bool:
    port = service.port(number)
    return service.headless and port is not None and protocol.of_port(port).kind in (protocol.TCP, protocol.AUTO)


def _server(snapshot: Snapshot, service: Service) -> Workload:
    where = f"Service {service.namespace}/{service.name}"
    if not service.selector:
        what = f"is an alias of {service.external_name}" if service.external_name else "has no selector"
        raise InputError(
            f"{where} {what}, so the pods behind it cannot be told. Give datasource_url or proxies with a Service "
            "that selects pods."
        )
    pods = discovery.pods_of(snapshot, service.namespace, dict(service.selector))
    if isinstance(pods, str):
        raise InputError(f"The pods behind {where} cannot be read: {pods}.")
    if not pods:
        raise InputError(
            f"{where} selects no pod ({objects.selector_text(service.selector)}): nothing can answer there, mesh or "
            "not."
        )
    first = objects.group_by_workload(pods)[0]
    return first._replace(pods=pods)


def _relay(
    question: Question, snapshot: Snapshot, recognise: Recognise, server: Workload, port: objects.ServicePort, url: str
) -> Relay:
    """What the server does with a query: as the user says, else as its pods show. Raises NotReadError."""
    known = next(
        (entry for entry in question.proxies if entry.workload == f"{server.namespace}/{server.name}"), KnownProxy("")
    )
    if known.upstream == END_OF_PATH:
        return Relay(server.name, "")
    pod = (server.ready_pods or server.pods)[0]

    def read(kind: str, names: tuple[str, ...]) -> tuple[Answer, ...]:
        return snapshot.require(*(Need("get", kind, pod.namespace, name) for name in names))

    found = _in_pod(recognise, pod, Arrival(objects.target_port(port, pod), hostnames.query_path(url), read))
    if found is None and not known.upstream:
        images = ", ".join(container.image for container in pod.containers)
        raise InputError(
            f"What {server} does with a query is not known (image {images}). Say it with proxies: [{{workload: "
            f"{server.namespace}/{server.name}, upstream: <URL, or {END_OF_PATH} if it answers>, host: preserve}}]."
        )
    found = found or Relay(server.name, "")
    if known.upstream or known.host:
        found = found._replace(upstream=known.upstream or found.upstream, host=known.host or found.host)
        # What the user left out is still as unknown as it was.
        found = found._replace(problem="" if found.upstream and found.host else found.problem)
    if found.problem:
        missing = "upstream: <URL>, " * (not found.upstream) + f"host: <{PRESERVE}, {UPSTREAM} or a Host>"
        raise InputError(
            f"{found.kind} in {server}: {found.problem}. Say it with proxies: "
            f"[{{workload: {server.namespace}/{server.name}, {missing}}}]."
        )
    return found


def _in_pod(recognise: Recognise, pod: Pod, arrival: Arrival) -> Relay | None:
    """What listens on a port.

    A relay to another container of the same pod is followed, for it makes no hop in the mesh.
    """
    found = recognise(pod, arrival)
    visited = {arrival.port}
    while (
        found
        and (target := hostnames.endpoint(found.upstream))
        and target.host in _THIS_POD
        and target.port not in visited
    ):
        visited.add(target.port)
        inner = recognise(pod, arrival._replace(port=target.port))
        if inner is None:
            return found._replace(
                upstream="",
                problem=f"it sends queries to port {target.port} of its own pod, where no known program listens",
            )
        found = _within(found, inner)
    return found


def _within(outer: Relay, inner: Relay) -> Relay:
    """Two relays of one pod as one: where the inner one keeps its Host, that is what the outer one sends."""
    inner = inner._replace(tenant_label=inner.tenant_label or outer.tenant_label)
    if inner.host != PRESERVE or outer.host == PRESERVE:
        return inner
    return inner._replace(host=_host_after(outer, ""), problem=inner.problem or outer.problem)


def predict(config: Mesh, snapshot: Snapshot, step: Step, host: str) -> Hop:
    """What becomes of a request that leaves the client with this Host. Raises NotReadError."""
    selected = protocol.of_port(step.port)
    services, unknown = _services_for(config, snapshot, step, host)
    taken = route.predict(config, step, host, services)
    modes = tuple(
        (pod.name, peer_authentication.of_pod(config, pod, objects.target_port(step.port, pod)))
        for pod in step.server.pods
        if pod.mesh in ("sidecar", "ambient") and not skips_inbound(pod, objects.target_port(step.port, pod))
    )
    policy = sidecar_scope.of_workload(config, step.client).policy if step.client.mesh == "sidecar" else ""
    return Hop(step, host, selected, taken, transport.predict(config, step, taken), modes, policy, unknown)


def _services_for(config: Mesh, snapshot: Snapshot, step: Step, host: str) -> tuple[ServiceIndex, tuple[str, ...]]:
    """The Services that this Host could mean, and what of them could not be read.

    Those of the server's namespace, and of the namespaces that the Host names, by way of aliases too. Where the client
    may not see the server's Service, what it sees of its own namespace on the port takes the Service's place.
    """
    namespaces = [step.service.namespace, *_homes(config, snapshot, step.client.namespace, host)]
    scoped = step.client.mesh == "sidecar" and sidecar_scope.of_workload(config, step.client).source
    unheard = protocol.of_port(step.port).kind == protocol.UDP
    if scoped or unheard or not service_exported_to(step.service, step.client.namespace):
        namespaces.append(step.client.namespace)
    needs = tuple(Need("list", "Service", namespace) for namespace in dict.fromkeys(namespaces))
    if len(needs) == 1:
        return step.services, ()
    unread = tuple(
        f"Service list in namespace {need.namespace}: {answer.problem}"
        for need, answer in zip(needs, snapshot.require(*needs), strict=True)
        if answer.problem
    )
    return (step.services, unread) if unread else (snapshot.derived(needs, ServiceIndex), ())


def _homes(config: Mesh, snapshot: Snapshot, namespace: str, host: str) -> Iterator[str]:
    """The namespaces of the Service that a Host names and, where it is an alias, of those that it stands for."""
    named = hostnames.service_name(hostnames.without_port(host), namespace, config.domain)
    seen: set[tuple[str, str]] = set()
    while named is not None and named not in seen:
        seen.add(named)
        yield named[0]
        need = Need("list", "Service", named[0])
        snapshot.require(need)
        found = snapshot.derived((need,), ServiceIndex).named(*named)
        full = found.external_name if found else ""
        named = hostnames.service_name(full, "", config.domain) if full.endswith(f".svc.{config.domain}") else None


def _host_after(relay: Relay, incoming: str) -> str:
    if relay.host == PRESERVE:
        return incoming
    target = hostnames.endpoint(relay.upstream)
    if relay.host == UPSTREAM:
        return target.authority if target else ""
    return relay.host
