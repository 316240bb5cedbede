# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Istio sidecar mesh on one machine, without containers (see ../README.md)."""
