# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m stage``: see cli.py."""

from __future__ import annotations

import sys

from stage.cli import main

sys.exit(main())
