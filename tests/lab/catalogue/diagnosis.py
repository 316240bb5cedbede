# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs modules as Ansible would, in this process: a world costs one diagnosis, not one start of Ansible."""

from __future__ import annotations

import contextlib
import io
import json
from types import ModuleType
from typing import Any

from ansible.module_utils.testing import patch_module_args
from meshlab.errors import LabError
from stage.place import NAMESPACE

from ansible_collections.meshops.istio_remediation.plugins.module_utils._module import PATH_OPTIONS
from ansible_collections.meshops.istio_remediation.plugins.modules import query_path_info, query_path_probe

Result = dict[str, Any]
# Options that leave a witness out.
WITNESSES = [option for option in ("read_logs", "read_envoy") if option in PATH_OPTIONS]
QUESTION = {"grafana_namespace": NAMESPACE, "datasource_uid": "tenant-x"}


def diagnose(**arguments: Any) -> Result:
    """Return the module's result, without what is about the run and not about the mesh. Raises LabError."""
    result = _run(query_path_info, arguments)
    if result.get("failed"):
        raise LabError(f"query_path_info failed: {result.get('msg')}")
    for name in ("invocation", "api", "changed"):
        result.pop(name, None)
    return result


def probe(**arguments: Any) -> Result:
    """Return the probe's result, also where it failed."""
    return _run(query_path_probe, arguments)


def _run(module: ModuleType, arguments: Result) -> Result:
    printed = io.StringIO()
    given = {**QUESTION, **arguments}
    with patch_module_args(given), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main()
    result: Result = json.loads(printed.getvalue())
    return result
