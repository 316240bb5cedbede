# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers needs from a live cluster.

What only this need cannot get (403, a kind that is not served, a broken ConfigMap, one timeout) becomes the answer's
problem. What no need can get past (401, no connection, timeout after timeout) ends the run with a typed error.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import grafana as grafana_api
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client, exists
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import (
    ApiError,
    ForbiddenError,
    KubeError,
    NotFoundError,
    NotServedError,
    UnreachableError,
)
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.grafana import Grafana, GrafanaError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import provisioning
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.trim import trim

# The newest lines of a sidecar's log. limitBytes cuts at the end, so it only guards against lines of absurd length.
LOG_LINES = 2000
LOG_BYTES = 8 * 1024 * 1024
HELP_FLAG = "-help"
HELP_TIMEOUT = 10.0
# What a diagnosis costs at most. Who owns an owner decides nothing, so it is not asked for beyond that.
MOST_REQUESTS = 25
# Needs that are answered by running a command in a pod.
EXEC = ("help", "envoy")


class LiveReader:
    """Reads what is asked for, and nothing else."""

    def __init__(self, client: Client, question: Question, grafana: Grafana | None = None, token: str = "") -> None:
        """grafana: Grafana by its URL; None: one of its ready pods is asked through port-forward, with `token`."""
        self._client = client
        self._question = question
        self._grafana = grafana
        self._token = token
        self._timed_out = False
        self._begun = client.requests
        # Why exec is refused, by namespace: RBAC does not tell one pod from another whose name is made up.
        self._no_exec: dict[str, str] = {}
        self._by_verb: dict[str, Callable[[Need], Answer]] = {
            "get": self._get,
            "list": self._list,
            "log": self._log,
            "help": self._help,
            "grafana": self._ask_grafana,
            "envoy": self._envoy,
            "owner": self._owner,
        }

    def read(self, need: Need) -> Answer:
        """Answer one need. Raises AuthError, UnreachableError."""
        if need.verb in EXEC and need.namespace in self._no_exec:
            return Answer(problem=self._no_exec[need.namespace])
        try:
            return self._by_verb[need.verb](need)
        except NotServedError:
            return Answer(served=False)
        except ForbiddenError as error:
            if need.verb in EXEC:
                self._no_exec[need.namespace] = _phrase(error)
            return Answer(problem=_phrase(error))
        except ApiError as error:
            return Answer(problem=_phrase(error))
        except UnreachableError as error:
            if self._timed_out or not error.sent:
                raise
            self._timed_out = True
            return Answer(problem=_phrase(error))

    def _get(self, need: Need) -> Answer:
        if need.kind == "MeshConfig":
            return self._mesh_config(need)
        if need.kind in ("ConfigMap", "ConfigDocuments"):
            return self._config_file(need)
        found = exists(self._client, need.kind, need.namespace, need.name)
        return Answer((trim(found),) if found else ())

    def _list(self, need: Need) -> Answer:
        if need.kind in provisioning.HOLDERS:
            return self._datasources(need)
        return Answer(tuple(self._client.list(need.kind, need.namespace, need.selector, trim)))

    def _mesh_config(self, need: Need) -> Answer:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import documents

        config_map = exists(self._client, "ConfigMap", need.namespace, need.name)
        if config_map is None:
            return Answer()
        return documents.mesh_config(trim(config_map))

    def _config_file(self, need: Need) -> Answer:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import config_files

        config_map = exists(self._client, "ConfigMap", need.namespace, need.name)
        return Answer((config_files.masked(need.kind, config_map),) if config_map else ())

    def _datasources(self, need: Need) -> Answer:
        kind = provisioning.HOLDERS[need.kind]
        holders: dict[str, Object] = {}
        problems = []
        try:
            labelled = self._client.list(kind, need.namespace, need.selector) if need.selector else []
            holders |= {objects.name(holder): holder for holder in labelled}
        except ApiError as error:
            problems.append(_phrase(error))
        for name in filter(None, need.name.split(",")):
            try:
                found = None if name in holders else exists(self._client, kind, need.namespace, name)
            except ApiError as error:
                problems.append(_phrase(error))
                continue
            if found:
                holders[name] = found
        return provisioning.answer((holders[name] for name in sorted(holders)), problems)

    def _log(self, need: Need) -> Answer:
        since = self._question.log_seconds
        text = self._client.log(need.namespace, need.name, need.container, LOG_LINES, since, LOG_BYTES)
        return Answer(text=text)

    def _help(self, need: Need) -> Answer:
        """What a program says about itself: Go's flag package prints its usage on stderr and exits 0 or 2."""
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import streams

        command = (*need.command, HELP_FLAG)
        try:
            output = streams.execute(self._client, need.namespace, need.name, need.container, command, HELP_TIMEOUT)
        except UnreachableError as error:
            return Answer(
                problem=f"`{' '.join(command)}` could not be run in Pod {need.namespace}/{need.name}: {error.why}"
            )
        text = f"{output.stdout}{output.stderr}"
        if output.code is None or not text.strip():
            why = output.message or f"exit code {output.code} and no output"
            return Answer(problem=f"`{' '.join(command)}` could not be run in Pod {need.namespace}/{need.name}: {why}")
        return Answer(text=text)

    def _envoy(self, need: Need) -> Answer:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._read import envoy

        return envoy.config_dump(self._client, need)

    def _owner(self, need: Need) -> Answer:
        from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import kinds

        [api_version] = need.command
        takes = 1 if kinds.of_kind(api_version, need.kind) else 2
        if not self._question.thorough and self._client.requests - self._begun + takes > MOST_REQUESTS:
            return Answer(problem=f"a diagnosis makes at most {MOST_REQUESTS} requests, and none is left")
        try:
            return Answer((trim(self._client.metadata(api_version, need.kind, need.namespace, need.name)),))
        except NotFoundError:
            return Answer()

    def _ask_grafana(self, need: Need) -> Answer:
        try:
            decoded = self._grafana_api().json(need.name)
        except (GrafanaError, UnreachableError) as error:
            return Answer(problem=str(error).rstrip("."))
        found = decoded if isinstance(decoded, list) else [decoded]
        return Answer(tuple(entry for entry in found if isinstance(entry, dict)))

    def _grafana_api(self) -> Grafana:
        if self._grafana is None:
            self._grafana = self._forwarded()
        return self._grafana

    def _forwarded(self) -> Grafana:
        question = self._question
        namespace, name = question.grafana_namespace, question.grafana_name
        workload = self._client.get(question.grafana_kind, namespace, name)
        selector = objects.mapping(objects.mapping(objects.spec(workload).get("selector")).get("matchLabels"))
        pods = self._client.list("Pod", namespace, objects.selector_text(selector), trim)
        ready = next((pod for pod in pods if objects.pod(pod).ready), None)
        if ready is None:
            raise GrafanaError(f"No pod of {question.grafana_kind} {namespace}/{name} is ready to be asked.")
        port = grafana_api.container_port(ready)
        return grafana_api.by_port_forward(self._client, namespace, objects.name(ready), port, self._token)


def _phrase(error: KubeError) -> str:
    return str(error).rstrip(".")
