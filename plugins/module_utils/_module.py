# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Ansible ends: options with their environment variables, one way in and one way out.

The only file that knows AnsibleModule. Everything heavy is imported inside functions, because every imported line costs
time in every task.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import KubeError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import (
    InputError,
    KnownProxy,
    Question,
)

if TYPE_CHECKING:
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.grafana import Grafana
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.path import Path
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Snapshot
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader

Params = Mapping[str, Any]
Spec = dict[str, dict[str, Any]]


def _env(name: str, **option: Any) -> dict[str, Any]:
    return {"type": "str", "fallback": (env_fallback, [name]), **option}


# Names, aliases and variables are those of kubernetes.core, so that both share one module_defaults.
AUTH_OPTIONS: Spec = {
    "kubeconfig": _env("K8S_AUTH_KUBECONFIG", type="raw"),
    # The one name that kubernetes.core does not have: it runs whatever program a kubeconfig names.
    "allow_credential_plugin": {
        "type": "bool",
        "default": False,
        "fallback": (env_fallback, ["MESHOPS_ALLOW_CREDENTIAL_PLUGIN"]),
    },
    "context": _env("K8S_AUTH_CONTEXT"),
    "host": _env("K8S_AUTH_HOST"),
    "api_key": _env("K8S_AUTH_API_KEY", no_log=True),
    "username": _env("K8S_AUTH_USERNAME"),
    "password": _env("K8S_AUTH_PASSWORD", no_log=True),
    "validate_certs": _env("K8S_AUTH_VERIFY_SSL", type="bool", aliases=["verify_ssl"]),
    "ca_cert": _env("K8S_AUTH_SSL_CA_CERT", type="path", aliases=["ssl_ca_cert"]),
    "client_cert": _env("K8S_AUTH_CERT_FILE", type="path", aliases=["cert_file"]),
    "client_key": _env("K8S_AUTH_KEY_FILE", type="path", aliases=["key_file"], no_log=False),
    "proxy": _env("K8S_AUTH_PROXY"),
    "no_proxy": _env("K8S_AUTH_NO_PROXY"),
    "proxy_headers": {
        "type": "dict",
        "options": {
            "basic_auth": _env("K8S_AUTH_PROXY_HEADERS_BASIC_AUTH", no_log=True),
            "proxy_basic_auth": _env("K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH", no_log=True),
            "user_agent": _env("K8S_AUTH_PROXY_HEADERS_USER_AGENT"),
        },
    },
    "impersonate_user": _env("K8S_AUTH_IMPERSONATE_USER"),
    "impersonate_groups": _env("K8S_AUTH_IMPERSONATE_GROUPS", type="list", elements="str"),
}

PATH_OPTIONS: Spec = {
    "grafana_namespace": {"type": "str", "required": True},
    "grafana_name": {"type": "str", "default": "grafana"},
    "grafana_kind": {"type": "str", "default": "Deployment", "choices": ["Deployment", "StatefulSet", "DaemonSet"]},
    "grafana_url": _env("GRAFANA_URL"),
    "grafana_token": _env("GRAFANA_TOKEN", no_log=True),
    "grafana_validate_certs": {"type": "bool", "default": True},
    "datasource_url": {"type": "str"},
    "datasource_uid": {"type": "str"},
    "read_secrets": {"type": "bool", "default": False},
    "proxies": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "workload": {"type": "str", "required": True},
            "upstream": {"type": "str"},
            "host": {"type": "str"},
        },
    },
    "istio_namespace": {"type": "str", "default": "istio-system"},
    "istio_revision": {"type": "str"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
    "read_logs": {"type": "bool", "default": True},
    "read_envoy": {"type": "bool", "default": True},
    "log_seconds": {"type": "int", "default": 600},
}

_TENANTS = ("tenant_label", "tenant", "other_tenant")
# What is asked to prove a path.
PROOF_OPTIONS: Spec = {
    "query": {"type": "str", "default": "up"},
    "requests": {"type": "int", "default": 8},
    **{name: {"type": "str"} for name in _TENANTS},
}

# Where a kubeconfig that is given as a dictionary holds secrets.
_KUBECONFIG_SECRETS = frozenset(
    {"token", "password", "client-key-data", "id-token", "refresh-token", "access-token", "client-secret"}
)

# What a mistake of ours raises; every other error has a sentence of its own.
DEFECTS = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
WRITTEN = "Something may have been written: query_path_remediation_info tells of runs that did not end."
# The first shows tracebacks since ansible-core 2.19, the second before.
REPORT = "Please report it, run with ANSIBLE_DISPLAY_TRACEBACK=error and -vvv."


class FailError(Exception):
    """A module ends without success but with a result: `msg` is the sentence, `result` what is returned beside it."""

    def __init__(self, msg: str, result: Params) -> None:
        super().__init__(msg)
        self.result = result


def run(options: Spec, work: Callable[[AnsibleModule, Client], Params], **settings: Any) -> None:
    """Build the module, connect, do the work, exit. Results are masked as text on their way out.

    options: beside those for the connection and for the path. work: returns the result; may raise KubeError, InputError
    and FailError. settings: for AnsibleModule.
    """
    _run(options, work, settings)


def run_offline_too(options: Spec, work: Callable[[AnsibleModule, Client | None], Params], **settings: Any) -> None:
    """Like run(), but where the option `snapshot` is given nothing is connected to, and work() gets no client."""
    _run(options, work, settings, lambda params: bool(params["snapshot"]))


def _run(
    options: Spec,
    work: Callable[[AnsibleModule, Any], Params],
    settings: dict[str, Any],
    offline: Callable[[Params], bool] = lambda _params: False,
) -> None:
    module = AnsibleModule({**AUTH_OPTIONS, **PATH_OPTIONS, **options}, supports_check_mode=True, **settings)
    if isinstance(module.params["kubeconfig"], dict):
        module.no_log_values |= _secrets(module.params["kubeconfig"])
    client = None
    try:
        client = None if offline(module.params) else _connect(module)
        result = work(module, client)
    except FailError as failure:
        _warn(module, client)
        module.fail_json(msg=_redact.sentence(str(failure)), **_redact.plain({"changed": False, **failure.result}))
    except (KubeError, InputError) as error:
        _warn(module, client)
        module.fail_json(msg=_redact.sentence(str(error)), changed=False)
    except DEFECTS as defect:
        _warn(module, client)
        wrote = client is not None and client.wrote
        module.fail_json(
            msg=_redact.sentence(f"{_told(defect)} {WRITTEN if wrote else 'Nothing was written.'} {REPORT}"),
            exception=_redact.text(traceback.format_exc()),
            changed=wrote,
        )
    else:
        _warn(module, client)
        module.exit_json(**_redact.plain({"changed": False, **result}))
    finally:
        if client is not None:
            client.transport.close()


def _told(defect: Exception) -> str:
    # Cleaned by itself: what follows a secret would be taken for a part of it.
    said = _redact.sentence(str(defect)).rstrip(".")
    return f"This collection has a defect: {type(defect).__name__}{f': {said}' if said else ''}."


def _warn(module: AnsibleModule, client: Client | None) -> None:
    """Pass on what the API server warned of, and what a run could not tidy up."""
    for warning in client.warnings if client else ():
        module.warn(_redact.sentence(warning))


def _connect(module: AnsibleModule) -> Client:
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import config
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.client import Client

    try:
        return Client(config.connect(module.params))
    except ImportError as error:
        module.fail_json(msg=missing_required_lib("kubernetes"), exception=traceback.format_exc(), error=str(error))


def _secrets(node: Any) -> set[str]:
    """The values of secret keys anywhere in a kubeconfig."""
    if isinstance(node, list):
        return set().union(*map(_secrets, node))
    if not isinstance(node, dict):
        return set()
    own = {str(value) for key, value in node.items() if key in _KUBECONFIG_SECRETS and value}
    return own.union(*map(_secrets, node.values()))


def question(params: Params) -> Question:
    """The question that a module's options ask. Raises InputError."""
    if params["log_seconds"] < 1:
        raise InputError("log_seconds must be at least 1; set read_logs to false to leave the access logs out.")
    for entry in params["proxies"]:
        if entry["workload"].count("/") != 1:
            raise InputError(f"proxies: workload {entry['workload']!r} must be written as namespace/name.")
    known = [KnownProxy(e["workload"], e["upstream"] or "", e["host"] or "") for e in params["proxies"]]
    return Question(
        grafana_namespace=params["grafana_namespace"],
        grafana_name=params["grafana_name"],
        grafana_kind=params["grafana_kind"],
        datasource_url=params["datasource_url"] or "",
        datasource_uid=params["datasource_uid"] or "",
        ask_grafana=bool(params["grafana_url"] or params["grafana_token"]),
        read_secrets=params["read_secrets"],
        proxies=tuple(known),
        istio_namespace=params["istio_namespace"],
        istio_revision=params["istio_revision"] or "",
        cluster_domain=params["cluster_domain"],
        read_logs=params["read_logs"],
        read_envoy=params["read_envoy"],
        log_seconds=params["log_seconds"],
        thorough=bool(params.get("save_snapshot") or params.get("snapshot")),
    )


def proof_options(params: Params) -> tuple[str, int, dict[str, str]]:
    """What is asked to prove a path: the query, how many at once, and what the user says about tenants, by option."""
    return params["query"], params["requests"], {name: params[name] for name in _TENANTS if params[name]}


def grafana_by_url(params: Params) -> Grafana | None:
    """Grafana at its URL; None where no URL was given and its pods are to be asked. Raises ConfigError."""
    if not params["grafana_url"]:
        return None
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import grafana

    token = params["grafana_token"] or ""
    return grafana.by_url(params["grafana_url"], token, params["grafana_validate_certs"])


def walk(client: Client, params: Params) -> tuple[Path, str]:
    """The path as wired and predicted now, and since when its last hop has been so; without verdict and remedies.

    The time is RFC 3339 in UTC, "" where it is not known. Raises KubeError, InputError.
    """
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import authorization, settled
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.walk import walk as follow
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._proxies.catalog import recognise
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import collect

    asked = question(params)

    def evaluate(snapshot: Snapshot) -> tuple[Path, str]:
        path = follow(asked, snapshot, recognise)
        answers = snapshot.require(*authorization.policy_needs(path.mesh, path.hops[-1].step.server))
        since = settled.since(asked, snapshot, path, path.hops[-1])
        known = since is not None and not path.unknown and not any(answer.problem for answer in answers)
        return path, since.isoformat() if since and known else ""

    return collect(live(client, asked, params), evaluate)[0]


def live(client: Client, asked: Question, params: Params) -> Reader:
    """Who reads from the cluster what a question needs. Raises ConfigError."""
    from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.live import LiveReader

    return LiveReader(client, asked, grafana_by_url(params), params["grafana_token"] or "")


def api_usage(client: Client | None) -> dict[str, int]:
    """What the run cost the API server; nothing where none was asked."""
    return {"requests": client.requests, "bytes": client.bytes} if client else {"requests": 0, "bytes": 0}
