# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option by which a module makes sure of its cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by ansible-doc."""

    DOCUMENTATION = r"""
options:
  expect_cluster_uid:
    description:
      - The cluster that is meant, as the uid of its namespace C(kube-system). Nothing is begun in any other.
      - C(kubectl get namespace kube-system -o jsonpath={.metadata.uid}) shows it.
    type: str
"""
