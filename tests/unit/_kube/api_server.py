# SPDX-License-Identifier: GPL-3.0-or-later
"""A small API server on a real socket: an object store with Kubernetes' answers, and faults on demand.

It is no mock of our classes: the `kubernetes` package talks to it over HTTP as it does to a cluster.
"""

from __future__ import annotations

import copy
import json
import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.kinds import RESOURCES
from ansible_collections.meshops.istio_remediation.tests.unit._kube import authorizer, json_patch, websocket_server

Object = dict[str, Any]

_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?$"
)


class Request(NamedTuple):
    """One request as it arrived. query: the last value of each parameter; commands: all of `command`."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    commands: tuple[str, ...]
    all_headers: tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """What is sent. body: bytes go out as they are; cut: the connection breaks after this many bytes of it."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None


Fault = Callable[[Request], "Answer | None"]


def status(code: int, reason: str, message: str, **details: str) -> Object:
    """A `Status` object, the body of every error of an API server."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return {**body, "message": message, "details": details}


class ApiServer:
    """Objects by (plural, namespace, name); every request is kept in `requests`.

    committed: those of them that stored something, whatever became of the answer.
    logs: by (namespace, pod, container). commands: by the words of the command: stdout, stderr, exit code.
    programs: by pod: the environment in which commands really run there, in the place of `commands`.
    forwards: by (namespace, pod, port): where a port-forward leads. faults: asked in turn before every answer; the
    first that returns an Answer decides. unserved: "group/version" that is not installed.
    on_write: called with (verb, object) after each write that is not a dry run, as a controller would see it.
    authorizer: answers access reviews; requests themselves are refused by `faults` alone.
    ahead: seconds by which its clock is ahead of this machine's.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.requests: list[Request] = []
        self.committed: list[Request] = []
        self.logs: dict[tuple[str, str, str], str] = {}
        self.commands: dict[tuple[str, ...], tuple[str, str, int]] = {}
        self.programs: dict[str, dict[str, str]] = {}
        self.forwards: dict[tuple[str, str, int], tuple[str, int]] = {}
        self.faults: list[Fault] = []
        self.unserved: set[str] = set()
        self.on_write: Callable[[str, Object], None] = lambda _verb, _object: None
        self.authorizer = authorizer.Authorizer()
        self.url = ""
        self.ahead = 0.0
        self._version = 100
        self._lock = threading.RLock()

    def run(self, pod: str, command: tuple[str, ...]) -> tuple[str, str, int]:
        """What a command prints on both outputs, and its exit code; tests replace this for what differs by pod."""
        return self.commands.get(command, ("", f"exec: no such program in {pod}", 127))

    def add(self, kind: str, namespace: str, name: str, **fields: Any) -> Object:
        """Store an object of a kind of our table; `labels` and `annotations` go into its metadata."""
        resource = RESOURCES[kind]
        metadata: Object = {"name": name, "uid": str(uuid.uuid4()), "resourceVersion": self._next_version()}
        if namespace:
            metadata["namespace"] = namespace
        for key in ("labels", "annotations"):
            if key in fields:
                metadata[key] = fields.pop(key)
        version = f"{resource.group}/{resource.versions[0]}" if resource.group else resource.versions[0]
        stored = {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        self.objects[resource.plural, namespace, name] = stored
        return stored

    def stored(self, kind: str, namespace: str, name: str) -> Object:
        return self.objects[RESOURCES[kind].plural, namespace, name]

    def writes(self) -> list[Request]:
        """Requests that changed something: no reads, no dry runs, no access reviews."""
        return [
            request
            for request in self.requests
            if not (request.method == "GET" or is_dry(request) or is_review(request))
        ]

    def forbid(self, method: str, plural: str, namespace: str = "") -> None:
        """Answer 403 from now on, as RBAC does."""

        def fault(request: Request) -> Answer | None:
            found = _PATH.match(request.path)
            if not found or request.method != method or plural not in (found["plural"], found["sub"]):
                return None
            if namespace and found["namespace"] != namespace:
                return None
            message = f'{plural} is forbidden: User "tester" cannot {method} resource "{plural}"'
            return Answer(403, status(403, "Forbidden", message, kind=plural))

        self.faults.append(fault)

    def once(self, answer: Answer, method: str = "GET", path: str = "") -> None:
        """Answer the next request of this method whose path contains `path` like this."""
        used = []

        def fault(request: Request) -> Answer | None:
            if used or request.method != method or path not in request.path:
                return None
            used.append(request)
            return answer

        self.faults.append(fault)

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                answer = fault(request)
                if answer is not None:
                    return answer
            if is_review(request):
                body = request.body
                return Answer(201, {**body, "status": self.authorizer.status(body["kind"], body["spec"])})
            found = _PATH.match(request.path)
            version = found and (f"{found['group']}/{found['version']}" if found["group"] else found["version"])
            if not found or version in self.unserved or not self._known(found["group"], found["plural"]):
                return Answer(404, b"404 page not found\n")
            answer = self._handle(request, found["plural"], found["namespace"] or "", found["name"] or "", found["sub"])
            if request.method != "GET" and not is_dry(request) and answer.status < 300:
                self.committed.append(request)
            return answer

    def _known(self, group: str | None, plural: str) -> bool:
        return any(r.plural == plural and r.group == (group or "") for r in RESOURCES.values())

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def _handle(self, request: Request, plural: str, namespace: str, name: str, sub: str | None) -> Answer:
        if sub == "log":
            return self._log(request, namespace, name)
        if request.method == "POST":
            return self._create(request, plural, namespace)
        if not name:
            return self._list(request, plural, namespace)
        current = self.objects.get((plural, namespace, name))
        if current is None:
            return Answer(404, status(404, "NotFound", f'{plural} "{name}" not found', name=name, kind=plural))
        if request.method == "GET":
            return Answer(200, current)
        return self._change(request, (plural, namespace, name), current)

    def _list(self, request: Request, plural: str, namespace: str) -> Answer:
        wanted = [
            item
            for (kind, place, _name), item in sorted(self.objects.items())
            if kind == plural and namespace in ("", place) and _matches(item, request.query.get("labelSelector", ""))
        ]
        start, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 0))
        end = start + limit if limit else len(wanted)
        metadata = {"resourceVersion": str(self._version), "continue": str(end) if end < len(wanted) else ""}
        items = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in wanted]
        return Answer(200, {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[start:end]})

    def _log(self, request: Request, namespace: str, pod: str) -> Answer:
        text = self.logs.get((namespace, pod, request.query.get("container", "")))
        if text is None:
            return Answer(404, status(404, "NotFound", f'pods "{pod}" not found', name=pod, kind="pods"))
        lines = text.splitlines(keepends=True)
        tail = int(request.query.get("tailLines", len(lines)))
        return Answer(200, "".join(lines[-tail:] if tail else []).encode())

    def _create(self, request: Request, plural: str, namespace: str) -> Answer:
        body = copy.deepcopy(request.body)
        name = body["metadata"]["name"]
        if (plural, namespace, name) in self.objects:
            return Answer(409, status(409, "AlreadyExists", f'{plural} "{name}" already exists', name=name))
        body["metadata"] |= {"uid": str(uuid.uuid4()), "resourceVersion": self._next_version()}
        return self._store("create", request, (plural, namespace, name), body, 201)

    def _change(self, request: Request, key: tuple[str, str, str], current: Object) -> Answer:
        name = key[2]
        if request.method == "DELETE":
            for field, wanted in ((request.body or {}).get("preconditions") or {}).items():
                if wanted != current["metadata"][field]:
                    name = {"uid": "UID", "resourceVersion": "ResourceVersion"}[field]
                    message = f"Precondition failed: {name} in precondition: {wanted}"
                    return Answer(409, status(409, "Conflict", message))
            if not is_dry(request):
                del self.objects[key]
                self.on_write("delete", current)
            return Answer(200, status(200, "", "") | {"status": "Success"})
        try:
            patched = json_patch.apply(current, request.body)
        except json_patch.PatchError as error:
            return Answer(422, status(422, "Invalid", f"the server rejected our request due to an error: {error}"))
        if patched["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"]:
            return Answer(409, status(409, "Conflict", f'Operation cannot be fulfilled on {key[0]} "{name}"'))
        patched["metadata"]["resourceVersion"] = self._next_version()
        if patched.get("spec") != current.get("spec"):
            patched["metadata"]["generation"] = current["metadata"].get("generation", 1) + 1
        return self._store("patch", request, key, patched, 200)

    def _store(self, verb: str, request: Request, key: tuple[str, str, str], body: Object, code: int) -> Answer:
        if not is_dry(request):
            self.objects[key] = body
            self.on_write(verb, body)
        return Answer(code, body)


def is_dry(request: Request) -> bool:
    """Whether a write is not to be stored. A DELETE with a body is judged by its body alone, as the API server does."""
    if request.method == "DELETE" and request.body:
        return bool(request.body.get("dryRun") == ["All"])
    return request.query.get("dryRun") == "All"


def is_review(request: Request) -> bool:
    """Whether it is an access review: a POST that stores nothing."""
    return request.path.startswith(f"/apis/{authorizer.GROUP}/")


def _matches(item: Object, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    terms = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(key) == value if sign else key in labels for key, sign, value in terms)


@contextmanager
def serving(server: ApiServer, certificate: tuple[Path, Path] | None = None) -> Iterator[ApiServer]:
    """Serve on a free port of 127.0.0.1 while the block runs; with a certificate and its key (PEM files), over TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet per answer: head and body sent apart wait 40 ms for each other (Nagle's algorithm).
        wbufsize = -1
        disable_nagle_algorithm = True

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) + server.ahead)

        def log_message(self, *_args: Any) -> None:
            """Stay silent."""

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            pairs = parse_qsl(url.query, keep_blank_values=True)
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            headers = tuple((name.lower(), value) for name, value in self.headers.items())
            commands = tuple(value for name, value in pairs if name == "command")
            request = Request(self.command, url.path, dict(pairs), dict(headers), body, commands, headers)
            if self.headers.get("Upgrade", "").lower() == "websocket":
                self.stream(request)
            else:
                self.reply(server.answer(request))

        def __getattr__(self, name: str) -> Any:
            """Every method goes one way; the base class looks for do_GET, do_POST and so on."""
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def reply(self, answer: Answer) -> None:
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "text/plain" if isinstance(answer.body, bytes) else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw if answer.cut is None else raw[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def stream(self, request: Request) -> None:
            server.requests.append(request)
            for fault in server.faults:
                answer = fault(request)
                if answer is not None:
                    self.reply(answer)
                    return
            found = _PATH.match(request.path)
            if found and found["sub"] == "exec" and found["name"] in server.programs:
                websocket_server.run_process(self, request.commands, server.programs[found["name"]])
            elif found and found["sub"] == "exec":
                websocket_server.run_command(self, *server.run(found["name"], request.commands))
            elif found:
                port = int(request.query["ports"])
                target = server.forwards.get((found["namespace"], found["name"], port))
                websocket_server.forward(self, port, target)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: Any) -> None:
            """A client that breaks off is part of some tests."""

    listener = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server.url = f"{'https' if certificate else 'http'}://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
