# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Show to a person what a module of this collection found or did."""

from __future__ import annotations

DOCUMENTATION = r"""
name: query_path_report
short_description: Shows to a person what a module of this collection found or did
version_added: 0.1.0
author:
  - Mesh operations maintainers (@meshops)
description:
  - Turns what M(meshops.istio_remediation.query_path_info) returns into the verdict in one sentence, the path as a
    small drawing, the evidence, the fixes with what each one costs, and the command to type next.
  - Of several paths it shows one line each, the worst first, and then the worst as a whole.
  - Shows in the same way what M(meshops.istio_remediation.query_path_remediation) changed and what
    M(meshops.istio_remediation.query_path_probe) proved.
  - Text that comes from the cluster is shown as it stands but cannot do anything. Control characters are escaped.
positional: _input
options:
  _input:
    description: What one of these modules returned.
    type: dict
    required: true
  question:
    description:
      - The variables of the collection's playbooks that name the path, as the user gave them.
      - They become part of the next command.
    type: dict
    default: {}
  form:
    description: Whether to return a list of lines for the terminal, or one string with a Markdown document.
    type: str
    choices: [text, markdown]
    default: text
"""

EXAMPLES = r"""
- name: Diagnose
  meshops.istio_remediation.query_path_info:
    grafana_namespace: monitoring
  register: diagnosis

- name: Show the diagnosis
  ansible.builtin.debug:
    msg: "{{ diagnosis | meshops.istio_remediation.query_path_report(question={'grafana_namespace': 'monitoring'}) }}"
"""

RETURN = r"""
_value:
  description: A list of lines, or a string with a Markdown document.
  type: raw
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report import (
    diagnosis,
    proof,
    remediation,
    render,
)
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import Block

Result = Mapping[str, Any]


def query_path_report(result: Result, question: Result | None = None, form: str = "text") -> list[str] | str:
    """Return the report on a result; see DOCUMENTATION."""
    blocks = _blocks(result, question or {})
    if form == "markdown":
        return render.to_markdown(blocks)
    if form != "text":
        raise AnsibleFilterError(f"query_path_report knows the forms text and markdown, not {form}")
    return render.to_lines(blocks)


def _blocks(result: Result, question: Result) -> list[Block]:
    """Choose the report by what only one of the modules returns."""
    if isinstance(result, Mapping):
        if "paths" in result:
            return diagnosis.overview(result, question)
        if "hops" in result:
            return diagnosis.report(result, question)
        if "checks" in result:
            return proof.report(result)
        if "changes" in result:
            return remediation.report(result, question)
    raise AnsibleFilterError("query_path_report needs what a query_path module of meshops.istio_remediation returned")


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"query_path_report": query_path_report}
