# SPDX-License-Identifier: GPL-3.0-or-later
"""What to paste at an object's owner, as the report shows it."""

from __future__ import annotations

import yaml

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report import at_owner
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import Snippet


class Tagged(str):
    """Text as Ansible hands it to filters: a subclass of str."""

    __slots__ = ()


def test_what_ansible_hands_over_becomes_yaml_to_paste() -> None:
    content = {Tagged("prometheus"): {"service": {"appProtocol": Tagged("tcp")}}}
    entry = {"object": "Service/a/b", "owner": "Helm release b", "how": "Put this into the values.", "content": content}
    [snippet] = [block for block in at_owner.blocks([entry, entry]) if isinstance(block, Snippet)]
    assert yaml.safe_load("\n".join(snippet.lines)) == {"prometheus": {"service": {"appProtocol": "tcp"}}}
