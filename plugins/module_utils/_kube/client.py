# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes' verbs on plain JSON objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import kinds
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    AuthError,
    NotFoundError,
    NotServedError,
    UnreachableError,
    api_error,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.kinds import RESOURCES, Resource
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.transport import (
    Query,
    Response,
    Transport,
)

Object = dict[str, Any]

FIELD_MANAGER = "meshops.istio_remediation"
REVIEWS = "authorization.k8s.io"
PAGE = 500
# How often a list is begun again after its `continue` token expired, before it is asked for without pages.
RESTARTS = 2


class Client:
    """One API server.

    Every method raises AuthError (401), UnreachableError and the subclasses of ApiError that fit the status.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.warnings = list(transport.warnings)
        # Whether anything but dry runs was asked to be stored, whatever became of it.
        self.wrote = False
        self._served: dict[str, str] = {}
        # Kinds of an apiVersion, as the API server lists them.
        self._listed: dict[str, dict[str, Resource]] = {}

    @property
    def host(self) -> str:
        """The API server's URL."""
        return self.transport.host

    @property
    def requests(self) -> int:
        """HTTP requests so far, retries and streams included."""
        return self.transport.requests

    @property
    def bytes(self) -> int:
        """Bytes of response bodies so far, without streams."""
        return self.transport.bytes

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object. Raises NotFoundError where it does not exist, NotServedError where its kind does not."""
        return _decoded(self._read("get", kind, namespace, name, ()), self.host)

    def metadata(self, api_version: str, kind: str, namespace: str, name: str) -> Object:
        """`apiVersion`, `kind` and `metadata` of an object of any kind; the rest of it may hold passwords.

        namespace: where it lies if its kind is one of namespaces. A kind that is not in our table is looked up in the
        API server's own list, at one more request for each apiVersion. Raises NotFoundError, NotServedError.
        """
        resource = kinds.of_kind(api_version, kind) or self._list_kinds(api_version).get(kind)
        if resource is None:
            raise NotServedError("get", kind, namespace, name, 404, "NotFound", "not served")
        path = kinds.path(resource, api_version.rpartition("/")[2], namespace, name)
        response = self.transport.exchange("GET", path, repeatable=True)
        if response.status == 404 and not _names_object(response):
            raise NotServedError("get", kind, namespace, name, 404, "NotFound", "not served")
        self._raise("get", kind, namespace if resource.namespaced else "", name, response)
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": _decoded(response, self.host).get("metadata") or {},
        }

    def _list_kinds(self, api_version: str) -> dict[str, Resource]:
        """https://kubernetes.io/docs/reference/using-api/api-concepts/#api-discovery: every caller may read it."""
        if api_version not in self._listed:
            group, _slash, version = api_version.rpartition("/")
            path = "/".join(quote(part, safe="") for part in (["apis", group] if group else ["api"]) + [version])
            response = self.transport.exchange("GET", f"/{path}", repeatable=True)
            found: Object = {}
            if response.status != 404:
                self._raise("list", f"the kinds of {api_version}", "", "", response)
                found = _decoded(response, self.host)
            # `prometheuses/status` is no kind of its own.
            self._listed[api_version] = {
                entry["kind"]: Resource(group, (version,), entry["name"], bool(entry["namespaced"]))
                for entry in found.get("resources") or []
                if "/" not in entry["name"]
            }
        return self._listed[api_version]

    def list(
        self,
        kind: str,
        namespace: str = "",
        selector: str = "",
        keep: Callable[[Object], Object] = lambda item: item,
        page: int = PAGE,
    ) -> list[Object]:
        """All objects of a kind, in one namespace or ("") in the whole cluster, with `kind` and `apiVersion` set.

        keep: applied to each object as its page arrives, so that memory holds only what is needed. A list is complete
        or it raises: when the `continue` token expires (410) it begins again.
        """
        for _restart in range(RESTARTS):
            try:
                return self._pages(kind, namespace, selector, keep, page)
            except ApiError as error:
                if error.status != 410:
                    raise
        return self._pages(kind, namespace, selector, keep, 0)

    def log(
        self,
        namespace: str,
        pod: str,
        container: str,
        tail_lines: int | None = None,
        since_seconds: int | None = None,
        limit_bytes: int | None = None,
        previous: bool = False,
    ) -> str:
        """A container's log. limit_bytes cuts at the end, not at the beginning: set tail_lines too."""
        options = {"tailLines": tail_lines, "sinceSeconds": since_seconds, "limitBytes": limit_bytes}
        query = [("container", container)] + [(name, str(value)) for name, value in options.items() if value]
        if previous:
            query.append(("previous", "true"))
        path = kinds.path(RESOURCES["Pod"], "v1", namespace, pod, "log")
        response = self.transport.exchange("GET", path, query, repeatable=True)
        self._raise("log", "Pod", namespace, pod, response)
        return response.body.decode("utf-8", "replace")

    def server_time(self) -> datetime:
        """The API server's clock, in UTC and whole seconds; this machine's where no clock was told.

        Every answer tells it, also one that refuses.
        """
        response = self.transport.exchange("GET", "/version", repeatable=True)
        told = response.headers.get("date", "")
        return parsedate_to_datetime(told) if told else datetime.now(timezone.utc)

    def review(self, kind: str, spec: Object) -> Object:
        """The `status` of a SelfSubjectRulesReview or SelfSubjectAccessReview.

        It is a POST because it carries a body. The API server answers it and stores nothing, so it is no write.
        """
        body = {"apiVersion": f"{REVIEWS}/v1", "kind": kind, "spec": spec}
        path = f"/apis/{REVIEWS}/v1/{kind.lower()}s"
        response = self.transport.exchange("POST", path, (), _encoded(body), repeatable=True)
        self._raise("create", kind, "", "", response)
        status: Object = _decoded(response, self.host).get("status") or {}
        return status

    def create(self, kind: str, body: Object, dry_run: bool = False, repeatable: bool = False) -> Object:
        """Create an object; namespace and name as its metadata say. Raises ConflictError where it exists.

        repeatable: an answer that was lost is asked for again; the object may be found to exist already then.
        """
        metadata = body.get("metadata", {})
        namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
        path = self._write_path(kind, namespace, "", body.get("apiVersion", ""))
        response = self._write("POST", path, _write_query(dry_run), body, dry_run, repeatable)
        return self._written("create", kind, namespace, name, response)

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        operations: list[Object],
        dry_run: bool = False,
        api_version: str = "",
        repeatable: bool = False,
    ) -> Object:
        """Apply a JSON patch (RFC 6902), whole or not at all. Raises InvalidError where a `test` does not hold.

        repeatable: an answer that was lost is asked for again, because applying the patch twice does no harm.
        """
        path = self._write_path(kind, namespace, name, api_version)
        response = self._write("PATCH", path, _write_query(dry_run), operations, dry_run, repeatable)
        return self._written("patch", kind, namespace, name, response)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        uid: str = "",
        dry_run: bool = False,
        api_version: str = "",
        resource_version: str = "",
        repeatable: bool = False,
    ) -> None:
        """Delete an object, only if it has this uid and resourceVersion where they are given.

        repeatable: an answer that was lost is asked for again; the object may be gone then. Raises NotFoundError,
        ConflictError.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if any(preconditions.values()):
            options["preconditions"] = {key: value for key, value in preconditions.items() if value}
        if dry_run:
            # In the body: the API server does not look at a DELETE's query where there is one.
            options["dryRun"] = ["All"]
        path = self._write_path(kind, namespace, name, api_version)
        response = self._write("DELETE", path, (), options, dry_run, repeatable)
        self._written("delete", kind, namespace, name, response)

    def _pages(
        self, kind: str, namespace: str, selector: str, keep: Callable[[Object], Object], page: int
    ) -> list[Object]:
        found: list[Object] = []
        token = ""
        while True:
            parameters = {"labelSelector": selector, "limit": str(page) if page else "", "continue": token}
            query = [(name, value) for name, value in parameters.items() if value]
            answer = _decoded(self._read("list", kind, namespace, "", query), self.host)
            for item in answer.get("items") or []:
                item.setdefault("kind", kind)
                item.setdefault("apiVersion", answer.get("apiVersion", ""))
                found.append(keep(item))
            token = (answer.get("metadata") or {}).get("continue") or ""
            if not token:
                return found

    def _read(self, verb: str, kind: str, namespace: str, name: str, query: Query) -> Response:
        """Ask in each version in turn until one is served, and remember it: at most one extra request per kind."""
        resource = RESOURCES[kind]
        versions = (self._served[kind],) if kind in self._served else resource.versions
        for version in versions:
            path = kinds.path(resource, version, namespace, name)
            response = self.transport.exchange("GET", path, query, repeatable=True)
            if response.status == 404 and not _names_object(response):
                continue
            self._served[kind] = version
            self._raise(verb, kind, namespace, name, response)
            return response
        raise NotServedError(verb, kind, namespace, name, 404, "NotFound", "not served")

    def _write_path(self, kind: str, namespace: str, name: str, api_version: str) -> str:
        resource: Resource = RESOURCES[kind]
        version = api_version.rpartition("/")[2] or self._served.get(kind) or resource.versions[0]
        return kinds.path(resource, version, namespace, name)

    def _write(self, method: str, path: str, query: Query, body: Any, dry_run: bool, repeatable: bool) -> Response:
        self.wrote = self.wrote or not dry_run
        content_type = "application/json-patch+json" if method == "PATCH" else "application/json"
        return self.transport.exchange(method, path, query, _encoded(body), content_type, dry_run or repeatable)

    def _written(self, verb: str, kind: str, namespace: str, name: str, response: Response) -> Object:
        self._raise(verb, kind, namespace, name, response)
        self.warnings += [text for text in response.warnings if text not in self.warnings]
        return _decoded(response, self.host)

    def _raise(self, verb: str, kind: str, namespace: str, name: str, response: Response) -> None:
        if 200 <= response.status < 300:
            return
        status = _status(response)
        message = str(status.get("message") or response.body[:200].decode("utf-8", "replace").strip())
        if response.status == 401:
            raise AuthError(self.host, message if message != "Unauthorized" else "")
        reason = str(status.get("reason") or response.reason)
        raise api_error(verb, kind, namespace, name, response.status, reason, message)


def exists(client: Client, kind: str, namespace: str, name: str) -> Object | None:
    """The object, or None where it does not exist."""
    try:
        return client.get(kind, namespace, name)
    except NotFoundError:
        return None


def _write_query(dry_run: bool) -> list[tuple[str, str]]:
    # Strict: a field that the API server does not know is an error of ours, not to be dropped in silence.
    query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
    return [*query, ("dryRun", "All")] if dry_run else query


def _encoded(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _decoded(response: Response, host: str) -> Object:
    try:
        decoded = json.loads(response.body)
    except ValueError as error:
        raise UnreachableError(host, "its answer is no JSON; is this the URL of an API server?", sent=True) from error
    if not isinstance(decoded, dict):
        raise UnreachableError(host, "its answer is no Kubernetes object; is this the URL of an API server?", sent=True)
    return decoded


def _status(response: Response) -> Mapping[str, Any]:
    """The `Status` object of an error, or {} where a proxy in between answered."""
    try:
        decoded = json.loads(response.body)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _names_object(response: Response) -> bool:
    """Whether a 404 is about an object; about a resource type it comes without a name, or in plain text."""
    details = _status(response).get("details")
    return isinstance(details, dict) and bool(details.get("name"))
