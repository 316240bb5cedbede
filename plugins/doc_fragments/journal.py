# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option that says where runs are recorded."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  journal_namespace:
    description:
      - Namespace of the ConfigMaps in which runs are recorded, and of the Leases. By default O(grafana_namespace).
      - Runs in which there may be something to take back are kept, and the newest 20 others of each Grafana.
    type: str
"""
