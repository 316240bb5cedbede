# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's main() with arguments as Ansible would give them and returns what it prints as its result."""

from __future__ import annotations

import contextlib
import io
import json
from types import ModuleType
from typing import Any

from ansible.module_utils.testing import patch_module_args


def run_module(module: ModuleType, check: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return the module's result; a module that ends without one is an error of the test."""
    printed = io.StringIO()
    given = {key: value for key, value in arguments.items() if value is not None}
    given |= {"_ansible_check_mode": check, "_ansible_diff": diff}
    with patch_module_args(given), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main()
    return json.loads(printed.getvalue())
