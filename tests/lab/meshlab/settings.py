# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, names and folders of the lab. Nothing here touches the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

LAB = Path(__file__).resolve().parent.parent

NODE_NAME = "meshlab"
NODE_NETNS = "meshlab-node"
NODE_IP = "10.9.0.1"
POD_CIDR = "10.9.1.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
HOST_API_PORT = 16443
"""Loopback port at which the API server can be reached from the host's own network namespace."""


class Folders(NamedTuple):
    """Where the lab keeps its files; it writes nowhere else."""

    cache: Path
    """Programs that were built or fetched; shared by all checkouts, survives ``down``."""
    state: Path
    """The running lab: kubeconfig, PKI, logs, pid files; ``down`` deletes it."""

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def programs(self) -> Path:
        """Links to the programs of the running lab; fit for ``PATH``."""
        return self.state / "bin"


def folders(environment: Mapping[str, str] | None = None) -> Folders:
    """Return the folders that *environment* selects (MESHOPS_LAB_CACHE, MESHOPS_LAB_STATE, XDG_CACHE_HOME).

    Without *environment* our own selects them.
    """
    environment = os.environ if environment is None else environment
    cache_home = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME", "/root"), ".cache")
    cache = environment.get("MESHOPS_LAB_CACHE") or os.path.join(cache_home, "meshops-lab")
    state = environment.get("MESHOPS_LAB_STATE") or "/var/tmp/meshops-lab"
    return Folders(cache=Path(cache).absolute(), state=Path(state).absolute())
