# SPDX-License-Identifier: GPL-3.0-or-later
"""A `config_dump` as text, reduced at once to what is judged."""

from __future__ import annotations

import json

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import envoy_dump, envoy_plain
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer


def reduced(text: str, where: str) -> Answer:
    """The reduced configuration as one object. where: what the text is, for people."""
    try:
        decoded = json.loads(text)
    except ValueError:
        return Answer(problem=f"{where} is no JSON")
    if not isinstance(decoded, dict):
        return Answer(problem=f"{where} is no JSON object")
    return Answer((envoy_plain.to_object(envoy_dump.parse(decoded)),))


def read(path: str) -> Answer:
    """The reduced configuration in a file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return reduced(file.read(), f"the config_dump {path}")
