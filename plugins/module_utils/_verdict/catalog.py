# SPDX-License-Identifier: GPL-3.0-or-later
"""All rules, sorted by code. Codes are stable and never reused.

QP1xx routing · QP2xx client TLS · QP3xx server and sidecars · QP4xx protocol · QP5xx policy and tenants · QP6xx
surroundings · QP9xx the diagnosis itself. An explicit list: AnsiballZ ships only what is imported by name.
"""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._verdict.rules import (
    qp101_foreign_host,
    qp102_registry_only,
    qp103_other_service,
    qp104_dynamic_dns,
    qp105_no_cluster,
    qp106_hidden_service,
    qp107_http_1_0,
    qp108_custom_host_header,
    qp109_pod_address,
    qp201_destination_rule,
    qp202_auto_mtls_off,
    qp203_inferred_disable,
    qp301_without_sidecar,
    qp302_port_past_sidecar,
    qp303_weaker_workload_policy,
    qp304_competing_policies,
    qp401_unread_annotation,
    qp402_older_service,
    qp403_unknown_protocol_name,
    qp404_udp,
    qp501_policy_on_tcp,
    qp502_open_backend,
    qp503_caller_denied,
    qp601_unknown_flag,
    qp602_unknown_istio_version,
    qp603_envoy_filter,
    qp901_witnesses_disagree,
    qp902_not_readable,
)

RULES = (
    qp101_foreign_host,
    qp102_registry_only,
    qp103_other_service,
    qp104_dynamic_dns,
    qp105_no_cluster,
    qp106_hidden_service,
    qp107_http_1_0,
    qp108_custom_host_header,
    qp109_pod_address,
    qp201_destination_rule,
    qp202_auto_mtls_off,
    qp203_inferred_disable,
    qp301_without_sidecar,
    qp302_port_past_sidecar,
    qp303_weaker_workload_policy,
    qp304_competing_policies,
    qp401_unread_annotation,
    qp402_older_service,
    qp403_unknown_protocol_name,
    qp404_udp,
    qp501_policy_on_tcp,
    qp502_open_backend,
    qp503_caller_denied,
    qp601_unknown_flag,
    qp602_unknown_istio_version,
    qp603_envoy_filter,
    qp901_witnesses_disagree,
    qp902_not_readable,
)
