# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API for the lab itself.

It speaks from inside the node's network namespace, so that it works before the way in from the host is open, and it
starts in a few milliseconds, where the kubernetes package needs half a second.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlencode

from meshlab import network
from meshlab.errors import LabError
from meshlab.settings import API_PORT, NODE_IP, Folders

Manifest = dict[str, Any]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
FIELD_MANAGER = "meshlab"


class ApiError(LabError):
    """The API server refused a request, or could not be reached (status 0)."""

    def __init__(self, method: str, path: str, status: int, reason: str) -> None:
        super().__init__(f"The lab's API server answered {method} {path} with {status or 'nothing'}: {reason}")
        self.status = status


class NodeConnection(http.client.HTTPSConnection):
    """An HTTPS connection that is made inside the node's network namespace."""

    def __init__(self, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(NODE_IP, API_PORT, timeout=timeout, context=context)
        self.tls = context
        self.patience = timeout

    def connect(self) -> None:
        plain = network.connect(self.host, self.port, self.patience)
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.host)


class Api:
    """The API server as cluster administrator. Fit for several threads."""

    def __init__(self, folders: Folders, timeout: float = 10) -> None:
        pki = folders.pki
        self.timeout = timeout
        try:
            self.context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
            self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        except FileNotFoundError as error:
            raise LabError("There is no lab on this machine; start one with 'make lab-up'.") from error
        self.plurals: dict[str, dict[str, tuple[str, bool]]] = {}

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send one request and return the parsed answer: an object, or text where the answer is none.

        Raises ApiError for every status of 400 and above and for a connection that fails.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            status, answer = self.exchange(method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(method, path, 0, str(error) or type(error).__name__) from error
        if status >= 400:
            raise ApiError(method, path, status, complaint(answer))
        text = answer.decode("utf-8", errors="replace")
        return json.loads(text) if text.startswith("{") else text

    def exchange(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a request and return (status, body). Connections are not kept: here a new one costs a millisecond."""
        with closing(NodeConnection(self.context, self.timeout)) as connection:
            connection.request(method, path, body=data, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def exists(self, path: str) -> bool:
        """Tell whether *path* is there. Raises ApiError when that cannot be found out."""
        return self.get_or_none(path) is not None

    def get_or_none(self, path: str) -> Any:
        """Return what is at *path*, or None when nothing is."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, manifest: Manifest) -> Manifest:
        """Create the object or bring it to what *manifest* says (server-side apply)."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        result: Manifest = self.request("PATCH", f"{self.path(manifest)}?{query}", manifest, APPLY)
        return result

    def path(self, manifest: Manifest) -> str:
        """Return the path of the object that *manifest* describes."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        plural, namespaced = self.resource(version, kind)
        metadata = manifest["metadata"]
        where = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{group_path(version)}{where}/{plural}/{metadata['name']}"

    def resource(self, version: str, kind: str) -> tuple[str, bool]:
        """Return (plural, namespaced) of a kind; asks the server once for each API version."""
        if kind not in self.plurals.get(version, {}):
            listing = self.get(group_path(version))
            self.plurals[version] = {
                resource["kind"]: (resource["name"], resource["namespaced"])
                for resource in listing["resources"]
                if "/" not in resource["name"]
            }
        try:
            return self.plurals[version][kind]
        except KeyError:
            raise LabError(f"The lab's API server knows no {kind} in {version}.") from None


def group_path(version: str) -> str:
    """Return the root path of an API version: ``v1`` lives apart from all others."""
    return f"/api/{version}" if version == "v1" else f"/apis/{version}"


def complaint(answer: bytes) -> str:
    """Return the message of a Status object, or the beginning of whatever else came."""
    text = answer.decode("utf-8", errors="replace")
    with suppress(ValueError, KeyError, TypeError):
        text = json.loads(text)["message"]
    return " ".join(text.split())[:300]
