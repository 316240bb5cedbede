# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubeconfig can do behind its reader's back: run a program, trust any certificate, send requests elsewhere.

Whoever writes a kubeconfig decides these: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
warns of files from untrusted sources for that reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.errors import ConfigError


def refuse_program(source: str | Mapping[str, Any], context: str | None) -> None:
    """Raise ConfigError where the context's user gets credentials by running a program ("exec").

    source: the path, or several as in KUBECONFIG, or the content. Raises whatever a malformed kubeconfig causes.
    """
    command = _command(_files(source), context)
    if command:
        where = "that was given as a dictionary" if isinstance(source, Mapping) else source
        raise ConfigError(
            f"The kubeconfig {where} runs the program {command!r} for its credentials, with the rights of this task. "
            "If you trust that file, set allow_credential_plugin: true (or MESHOPS_ALLOW_CREDENTIAL_PLUGIN=true in the "
            "environment); else set host and api_key."
        )


def _files(source: str | Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if isinstance(source, Mapping):
        return [source]
    from kubernetes.config.kube_config import KubeConfigMerger

    return list(KubeConfigMerger(source).config_files.values())


def _command(files: Sequence[Mapping[str, Any]], context: str | None) -> str:
    """The program of the context's user; "" where there is none. As the `kubernetes` package merges files."""
    named = [file["current-context"] for file in files if "current-context" in file]
    chosen = context or (named[-1] if named else None)
    user = _entry(files, "contexts", "context", chosen).get("user")
    plugin = _entry(files, "users", "user", user).get("exec")
    return str(plugin.get("command")) if plugin else ""


def _entry(files: Sequence[Mapping[str, Any]], kind: str, key: str, name: str | None) -> Mapping[str, Any]:
    found = [entry for file in files for entry in file.get(kind) or [] if entry["name"] == name]
    return (found[0].get(key) or {}) if found else {}


def warnings(configuration: Any, options: Mapping[str, Any]) -> list[str]:
    """What decides about the connection without an option that says so. configuration: the final one."""
    found = []
    if not configuration.verify_ssl and options.get("validate_certs") is None:
        found.append(
            f"The kubeconfig switches off the check of {configuration.host}'s certificate (insecure-skip-tls-verify): "
            "whoever stands in between reads the credentials. Set validate_certs: true, and ca_cert where it is needed."
        )
    if configuration.proxy and not options.get("proxy"):
        proxy = urlsplit(str(configuration.proxy))
        found.append(
            f"Requests to {configuration.host} go through the proxy {proxy.hostname}:{proxy.port or 80}, which the "
            "kubeconfig or the environment names. Set the option proxy to choose it yourself."
        )
    return found
