# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods with a proxy in them, as the API server shows them, for tests of the proxy kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Arrival, Relay
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer
from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies import catalog
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import config_files

PROMETHEUS = "http://prometheus.monitoring.svc:9090"


def container(
    image: str,
    args: Sequence[str] = (),
    port: int = 8080,
    files: Mapping[str, str] | None = None,
    env: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One container. files: path in the container -> text; each is a ConfigMap of its own."""
    variables = [
        {"name": name, **(value if isinstance(value, dict) else {"value": value})}
        for name, value in (env or {}).items()
    ]
    mounts = [
        {"name": f"file-{index}", "mountPath": path, "subPath": path.rpartition("/")[2]}
        for index, path in enumerate(files or {})
    ]
    return {
        "name": "proxy",
        "image": image,
        "args": list(args),
        "ports": [{"containerPort": port}],
        "env": variables,
        "volumeMounts": mounts,
        **fields,
    }


def config_maps(files: Mapping[str, str] | None) -> dict[str, dict[str, Any]]:
    """The ConfigMaps of these files, by name."""
    return {
        f"config-{index}": {
            "kind": "ConfigMap",
            "metadata": {"name": f"config-{index}", "namespace": "monitoring"},
            "data": {path.rpartition("/")[2]: text},
        }
        for index, (path, text) in enumerate((files or {}).items())
    }


def ask(
    containers: Sequence[dict[str, Any]],
    maps: Mapping[str, dict[str, Any]],
    port: int = 8080,
    path: str = "/api/v1/query",
    volumes: Sequence[dict[str, Any]] | None = None,
) -> Relay | None:
    """What a pod does with a query that reaches a port."""
    mounted = [{"name": f"file-{index}", "configMap": {"name": f"config-{index}"}} for index, _name in enumerate(maps)]
    spec = {"containers": list(containers), "volumes": list(volumes) if volumes is not None else mounted}
    pod = objects.pod({"kind": "Pod", "metadata": {"name": "proxy", "namespace": "monitoring"}, "spec": spec})

    def read(kind: str, names: tuple[str, ...]) -> tuple[Answer, ...]:
        return tuple(Answer((config_files.masked(kind, maps[name]),) if name in maps else ()) for name in names)

    return catalog.recognise(pod, Arrival(port, path, read))


def relay(image: str, args: Sequence[str] = (), path: str = "/api/v1/query", **given: Any) -> Relay:
    """What the only container of a pod does with a query."""
    found = ask([container(image, args, **given)], config_maps(given.get("files")), given.get("port", 8080), path)
    assert found is not None, f"{image} is not recognised"
    return found
