# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.meshops.istio_remediation.tests.unit._kube.fixtures import _no_outer_cluster, client, server

__all__ = ["_no_outer_cluster", "client", "server"]
