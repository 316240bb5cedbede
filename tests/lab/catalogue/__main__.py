# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m catalogue``: see cli.py."""

from __future__ import annotations

import sys

from catalogue.cli import main

sys.exit(main())
