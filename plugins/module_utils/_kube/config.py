# SPDX-License-Identifier: GPL-3.0-or-later
"""From the connection's options to a configured `kubernetes.client.ApiClient`.

Options and their precedence are those of kubernetes.core: a host with credentials needs nothing else; else kubeconfig
or context choose a kubeconfig; with none of these, the service account of the pod that we run in, then the default
kubeconfig. Every single option overrides what was loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube import kubeconfig
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ConfigError
from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.transport import (
    DEFAULT_LIMITS,
    Limits,
    Transport,
)

Options = Mapping[str, Any]


def connect(options: Options, limits: Limits = DEFAULT_LIMITS) -> Transport:
    """Build a transport; asks nothing of the network but what a kubeconfig's credential plugin does.

    options: host, api_key, kubeconfig (path or dict), allow_credential_plugin, context, validate_certs, ca_cert,
    client_cert, client_key, username, password, proxy, no_proxy, proxy_headers, impersonate_user, impersonate_groups;
    None or absent: not given.
    Raises ConfigError; ImportError without the `kubernetes` package.
    """
    import kubernetes.client

    configuration = kubernetes.client.Configuration()
    _load(options, configuration)
    _override(options, configuration)
    _keep_overrides(options, configuration)
    # Retries are ours (see retry.py): urllib3 would repeat writes too.
    configuration.retries = False
    if not configuration.verify_ssl:
        _silence_insecure_warning()
    api_client = kubernetes.client.ApiClient(configuration)
    if options.get("username") and options.get("password"):
        from urllib3.util import make_headers

        credentials = f"{options['username']}:{options['password']}"
        api_client.set_default_header("authorization", make_headers(basic_auth=credentials)["authorization"])
    transport = Transport(api_client, _impersonation(options), limits)
    transport.warnings = kubeconfig.warnings(configuration, options)
    return transport


def _given(options: Options, *names: str) -> bool:
    return all(options.get(name) for name in names)


def _load(options: Options, configuration: Any) -> None:
    from kubernetes import config
    from yaml import YAMLError

    credentials = (("api_key",), ("username", "password"), ("client_cert", "client_key"))
    if any(_given(options, "host", *names) for names in credentials):
        return
    source = options.get("kubeconfig") or None
    context = options.get("context") or None
    chosen = dict(source) if isinstance(source, Mapping) else os.path.expanduser(str(source or _default_kubeconfig()))
    try:
        if source is None and context is None and _inside_a_pod():
            config.load_incluster_config(client_configuration=configuration)
            return
        if not options.get("allow_credential_plugin"):
            kubeconfig.refuse_program(chosen, context)
        if isinstance(chosen, dict):
            config.load_kube_config_from_dict(
                chosen, context=context, client_configuration=configuration, persist_config=False
            )
        else:
            config.load_kube_config(chosen, context, configuration, persist_config=False)
    except (config.ConfigException, YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if _given(options, "host") and source is None and context is None:
            # A host alone is enough for an API server that asks for no credentials, such as `kubectl proxy`.
            return
        where = "that was given as a dictionary" if isinstance(chosen, dict) else source or _default_kubeconfig()
        raise ConfigError(
            f"The kubeconfig {where} cannot be used: {_reason(error)}. Set kubeconfig and context, or host and api_key."
        ) from error


def _reason(error: Exception) -> str:
    """The first line without a full stop; a parser's further lines quote the file, which holds credentials."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _default_kubeconfig() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def _inside_a_pod() -> bool:
    from kubernetes.config import incluster_config

    has_address = bool(os.environ.get(incluster_config.SERVICE_HOST_ENV_NAME))
    return has_address and os.path.isfile(incluster_config.SERVICE_TOKEN_FILENAME)


def _override(options: Options, configuration: Any) -> None:
    if options.get("host"):
        configuration.host = options["host"]
    configuration.host = str(configuration.host).rstrip("/")
    if options.get("api_key"):
        configuration.api_key = {"authorization": f"Bearer {_header_value('api_key', options['api_key'])}"}
        configuration.api_key_prefix = {}
    if options.get("validate_certs") is not None:
        configuration.verify_ssl = options["validate_certs"]
    for option, attribute in (("ca_cert", "ssl_ca_cert"), ("client_cert", "cert_file"), ("client_key", "key_file")):
        if options.get(option):
            setattr(configuration, attribute, _file(option, options[option]))
    if options.get("ca_cert") and getattr(configuration, "ca_cert_data", None):
        # Version 37 prefers what the kubeconfig embeds.
        configuration.ca_cert_data = None
    if options.get("proxy"):
        configuration.proxy = options["proxy"]
    if options.get("no_proxy"):
        configuration.no_proxy = options["no_proxy"]
    if options.get("proxy_headers"):
        from urllib3.util import make_headers

        configuration.proxy_headers = make_headers(**{k: v for k, v in options["proxy_headers"].items() if v})


def _keep_overrides(options: Options, configuration: Any) -> None:
    """Whoever renews a token from a kubeconfig or a pod's service account writes the whole cluster entry anew."""
    renew = configuration.refresh_api_key_hook
    if renew is None:
        return

    def renew_and_override(current: Any) -> None:
        renew(current)
        _override(options, current)
        current.refresh_api_key_hook = renew_and_override

    configuration.refresh_api_key_hook = renew_and_override


def _file(option: str, path: str) -> str:
    expanded = os.path.expanduser(path)
    if not os.path.isfile(expanded):
        raise ConfigError(f"The file {path} of option {option} does not exist on the host that runs this task.")
    return expanded


def _header_value(option: str, value: str) -> str:
    """A value that HTTP can carry. The message does not repeat it: it is a secret."""
    stripped = value.strip()
    if not stripped.isascii() or not stripped.isprintable():
        raise ConfigError(f"The value of {option} holds characters that an HTTP header cannot carry.")
    return stripped


def _impersonation(options: Options) -> list[tuple[str, str]]:
    user, groups = options.get("impersonate_user"), options.get("impersonate_groups") or []
    if groups and not user:
        raise ConfigError("impersonate_groups needs impersonate_user: Kubernetes impersonates no group alone.")
    headers = [("Impersonate-User", _header_value("impersonate_user", user))] if user else []
    return headers + [("Impersonate-Group", _header_value("impersonate_groups", group)) for group in groups]


def _silence_insecure_warning() -> None:
    """Whoever sets validate_certs to false knows; urllib3 would say so on every request."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
