# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the modules reach a Kubernetes API server."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of the connection, named as in kubernetes.core."""

    DOCUMENTATION = r"""
options:
  host:
    description:
      - URL of the API server.
      - Can also be set by the environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token.
      - Can also be set by the environment variable E(K8S_AUTH_API_KEY).
    type: str
  kubeconfig:
    description:
      - Path to a kubeconfig, or its content as a dictionary.
      - Without it and without O(host), O(api_key) and O(context), the service account of the pod in which the task runs
        is used, and outside of a pod the default kubeconfig (E(KUBECONFIG), else C(~/.kube/config)).
      - Can also be set by the environment variable E(K8S_AUTH_KUBECONFIG).
    type: raw
  allow_credential_plugin:
    description:
      - Whether a kubeconfig may run a program for its credentials (C(exec)), as those for EKS, GKE and AKS do.
      - The program runs with the rights of the task, so that a kubeconfig is refused that names one unless you say that
        you trust it.
      - Can also be set by the environment variable E(MESHOPS_ALLOW_CREDENTIAL_PLUGIN).
    type: bool
    default: false
  context:
    description:
      - Name of a context in the kubeconfig.
      - Can also be set by the environment variable E(K8S_AUTH_CONTEXT).
    type: str
  username:
    description:
      - User name for basic authentication.
      - Can also be set by the environment variable E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password for basic authentication.
      - Can also be set by the environment variable E(K8S_AUTH_PASSWORD).
    type: str
  validate_certs:
    description:
      - Whether to verify the API server's certificate. By default as the kubeconfig says, else V(true).
      - Can also be set by the environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - Path to the certificate of the authority that signed the API server's certificate.
      - Can also be set by the environment variable E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path to a client certificate.
      - Can also be set by the environment variable E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path to the key of O(client_cert).
      - Can also be set by the environment variable E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of an HTTP proxy on the way to the API server.
      - Can also be set by the environment variable E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Host names and addresses that are reached without O(proxy), separated by commas.
      - Can also be set by the environment variable E(K8S_AUTH_NO_PROXY).
    type: str
  proxy_headers:
    description:
      - Headers for O(proxy).
    type: dict
    suboptions:
      basic_auth:
        description:
          - User name and password for C(Authorization), separated by a colon.
          - Can also be set by the environment variable E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH).
        type: str
      proxy_basic_auth:
        description:
          - User name and password for C(Proxy-Authorization), separated by a colon.
          - Can also be set by the environment variable E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH).
        type: str
      user_agent:
        description:
          - Value for C(User-Agent).
          - Can also be set by the environment variable E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
        type: str
  impersonate_user:
    description:
      - User to impersonate. Commands in pods and port-forwards are refused then, because the Python package does
        not carry impersonation over to them.
      - Can also be set by the environment variable E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to impersonate, together with O(impersonate_user).
      - Can also be set by the environment variable E(K8S_AUTH_IMPERSONATE_GROUPS), separated by commas.
    type: list
    elements: str
requirements:
  - Python package kubernetes >= 29.0.0
notes:
  - Options, aliases and environment variables of the connection are those of the C(kubernetes.core) collection, so that
    both can share one C(module_defaults); O(allow_credential_plugin) is the one that it does not have.
"""
