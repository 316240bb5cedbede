# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs query_path_info as Ansible would, in this process: a world costs one diagnosis, not one start of Ansible."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from ansible.module_utils.testing import patch_module_args
from meshlab.errors import LabError

from ansible_collections.meshops.istio_remediation.plugins.module_utils._module import PATH_OPTIONS
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_info

Result = dict[str, Any]
# Options that leave a witness out.
WITNESSES = [option for option in ("read_logs", "read_envoy") if option in PATH_OPTIONS]
QUESTION = {"grafana_namespace": "monitoring", "datasource_uid": "tenant-x"}


def diagnose(**arguments: Any) -> Result:
    """Return the module's result, without what is about the run and not about the mesh. Raises LabError."""
    printed = io.StringIO()
    given = {**QUESTION, **arguments}
    with patch_module_args(given), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        query_path_info.main()
    result: Result = json.loads(printed.getvalue())
    if result.get("failed"):
        raise LabError(f"query_path_info failed: {result.get('msg')}")
    for name in ("invocation", "api", "changed"):
        result.pop(name, None)
    return result
