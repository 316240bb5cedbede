# SPDX-License-Identifier: GPL-3.0-or-later
"""All guards. Each runs on every plan, present and future.

An explicit list: AnsiballZ ships only what is imported by name.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guard import Guard
from ansible_collections.meshops.istio_remediation.plugins.module_utils._plan.guards import (
    clients,
    cured,
    envoy_filters,
    mtls,
    owners,
    policies,
    tenants,
)

GUARDS: tuple[Guard, ...] = (
    cured.check,
    mtls.check,
    tenants.check,
    envoy_filters.check,
    policies.check,
    clients.check,
    owners.check,
)
