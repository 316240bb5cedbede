# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig files of the lab's users and components."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from meshlab.settings import API_PORT, HOST_API_PORT, NODE_IP, Folders

NODE_SERVER = f"https://{NODE_IP}:{API_PORT}"
HOST_SERVER = f"https://127.0.0.1:{HOST_API_PORT}"

COMPONENTS = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "node-agent", "coredns", "istiod")


def create(folders: Folders) -> None:
    """Write state/kubeconfig for people and pki/<component>.kubeconfig for the programs of the node."""
    for component in COMPONENTS:
        write(folders.pki / f"{component}.kubeconfig", NODE_SERVER, component, folders.pki)
    write(folders.kubeconfig, HOST_SERVER, "admin", folders.pki)


def write(path: Path, server: str, user: str, pki: Path) -> None:
    """Write a kubeconfig that stands alone: certificates and key are inside. JSON is YAML."""

    def embedded(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode("ascii")

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "meshlab", "cluster": {"server": server, "certificate-authority-data": embedded("ca.crt")}}
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": embedded(f"{user}.crt"),
                    "client-key-data": embedded(f"{user}.key"),
                },
            }
        ],
        "contexts": [{"name": "meshlab", "context": {"cluster": "meshlab", "user": user}}],
        "current-context": "meshlab",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
