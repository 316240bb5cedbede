# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that does the next step."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

COLLECTION = "meshops.istio_remediation"

# What the playbooks take anyway.
_DEFAULTS = {"grafana_name": "grafana", "grafana_kind": "Deployment", "protocol": "auto"}

# What both the shell and ansible-playbook's `-e name=value` take as it stands.
_SIMPLE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")


def playbook(name: str, variables: Mapping[str, Any]) -> str:
    """Return the ``ansible-playbook`` command for one of our playbooks; what is empty or a default is left out.

    A value is a string or a list of strings. What needs quoting is passed as JSON, because ``-e name=value`` would be
    split at blanks.
    """
    words = ["ansible-playbook", f"{COLLECTION}.{name}"]
    for variable, value in variables.items():
        if value in ("", None, [], ()) or value == _DEFAULTS.get(variable):
            continue
        simple = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        if _SIMPLE.fullmatch(simple):
            words += ["-e", f"{variable}={simple}"]
        else:
            words += ["-e", shlex.quote(json.dumps({variable: value}))]
    return " ".join(words)
