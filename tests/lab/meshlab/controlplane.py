# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of the Kubernetes control plane and of the node's own programs."""

from __future__ import annotations

from pathlib import Path

from meshlab.processes import Daemon
from meshlab.settings import (
    API_PORT,
    CLUSTER_DOMAIN,
    DNS_SERVICE_IP,
    HOST_API_PORT,
    NODE_IP,
    NODE_NAME,
    NODE_NETNS,
    POD_CIDR,
    SERVICE_CIDR,
    Folders,
)

SERVICE_ACCOUNT_ISSUER = f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"
ETCD_CLIENTS = "http://127.0.0.1:2379"
ETCD_PEERS = "http://127.0.0.1:2380"


def etcd(folders: Folders) -> Daemon:
    """etcd. It need not survive a crash, and so does not wait for the disk."""
    return Daemon(
        "etcd",
        [
            str(folders.programs / "etcd"),
            f"--data-dir={folders.state / 'etcd'}",
            f"--listen-client-urls={ETCD_CLIENTS}",
            f"--advertise-client-urls={ETCD_CLIENTS}",
            f"--listen-peer-urls={ETCD_PEERS}",
            f"--initial-advertise-peer-urls={ETCD_PEERS}",
            f"--initial-cluster=default={ETCD_PEERS}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
    )


def kube_apiserver(folders: Folders) -> Daemon:
    pki = folders.pki
    return Daemon(
        "kube-apiserver",
        [
            str(folders.programs / "kube-apiserver"),
            f"--etcd-servers={ETCD_CLIENTS}",
            f"--advertise-address={NODE_IP}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
            f"--service-account-key-file={pki / 'service-account.pub'}",
            f"--service-account-signing-key-file={pki / 'service-account.key'}",
            "--authorization-mode=RBAC",
            f"--kubelet-client-certificate={pki / 'kube-apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kube-apiserver-kubelet-client.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--profiling=false",
        ],
    )


def kube_controller_manager(folders: Folders) -> Daemon:
    pki = folders.pki
    return Daemon(
        "kube-controller-manager",
        [
            str(folders.programs / "kube-controller-manager"),
            f"--kubeconfig={pki / 'kube-controller-manager.kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'service-account.key'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials=true",
            # By default 20 requests a second: with these the first pod is admitted seconds earlier.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--leader-elect=false",
            "--profiling=false",
        ],
    )


def kube_scheduler(folders: Folders) -> Daemon:
    return Daemon(
        "kube-scheduler",
        [
            str(folders.programs / "kube-scheduler"),
            f"--kubeconfig={folders.pki / 'kube-scheduler.kubeconfig'}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ],
    )


def kube_proxy(folders: Folders) -> Daemon:
    """kube-proxy. Its three conntrack settings belong to the host's kernel: zero leaves them alone."""
    return Daemon(
        "kube-proxy",
        [
            str(folders.programs / "kube-proxy"),
            f"--kubeconfig={folders.pki / 'kube-proxy.kubeconfig'}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_CIDR}",
            f"--hostname-override={NODE_NAME}",
            f"--bind-address={NODE_IP}",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
            "--iptables-min-sync-period=100ms",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
    )


def coredns(folders: Folders) -> Daemon:
    return Daemon("coredns", [str(folders.programs / "coredns"), "-conf", str(folders.state / "Corefile")])


def corefile(folders: Folders) -> str:
    """Return CoreDNS' configuration: cluster DNS and nothing else, since the lab has no way out."""
    return f""".:53 {{
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {folders.pki / "coredns.kubeconfig"}
        ttl 5
    }}
    cache 5
}}
"""


def node_agent(folders: Folders, images: Path) -> Daemon:
    """The lab's own kubelet and container runtime in one (tests/lab/agent)."""
    pki = folders.pki
    return Daemon(
        "node-agent",
        [
            str(folders.programs / "node-agent"),
            *("--kubeconfig", str(pki / "node-agent.kubeconfig")),
            *("--node-name", NODE_NAME),
            *("--node-ip", NODE_IP),
            *("--pod-cidr", POD_CIDR),
            *("--cluster-dns", DNS_SERVICE_IP),
            *("--images", str(images)),
            *("--state-dir", str(folders.state / "pods")),
            *("--tls-cert", str(pki / "kubelet.crt")),
            *("--tls-key", str(pki / "kubelet.key")),
            *("--client-ca", str(pki / "ca.crt")),
        ],
    )


def loopback_forward(folders: Folders) -> Daemon:
    """The one listener of the lab in the host's network namespace: the way to the API server from any shell."""
    return Daemon(
        "loopback-forward",
        [
            str(folders.programs / "loopback-forward"),
            *("--listen", f"127.0.0.1:{HOST_API_PORT}"),
            *("--netns", NODE_NETNS),
            *("--to", f"{NODE_IP}:{API_PORT}"),
        ],
        on_host=True,
    )
