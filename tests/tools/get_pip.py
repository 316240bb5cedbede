# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand in for pip's get-pip.py, from parts that every Python with ensurepip holds.

ansible-test makes its environments without pip and downloads get-pip.py for them from a host that not every machine
may reach. It looks into its cache first, and names that file in its own error message: sanity.py puts this one there.
"""

from __future__ import annotations

import os
import subprocess
import sys

# Set by ansible-test for the real script; pip started below must not take it for its own.
environment = {key: value for key, value in os.environ.items() if key != "GET_PIP"}
arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, env=environment)
subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=True, env=environment)
