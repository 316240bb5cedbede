# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that say what is asked to prove a path."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  query:
    description:
      - Metric to ask for, with matchers at most. It must have series for the data source's tenant.
    type: str
    default: up
  requests:
    description:
      - How many queries are sent at once in the first of up to four rounds, between 1 and 100. Every round sends more
        than the one before.
    type: int
    default: 8
  tenant_label:
    description:
      - Label by which the proxy keeps tenants apart. By default as the proxy's own arguments say.
    type: str
  tenant:
    description:
      - Value of the label for this data source. By default as its custom query parameters say.
    type: str
  other_tenant:
    description:
      - Value of the label that must not be readable. By default any other than O(tenant).
    type: str
"""
