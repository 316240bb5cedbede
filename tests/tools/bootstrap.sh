#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Finds a Python that can carry the tools, and has tool_environment.py make (or find) the virtual environment with it.
set -eu

here=$(dirname "$0")

# A Python is good when ansible-core 2.19 runs on it and it can make virtual environments (Debian splits ensurepip off).
usable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for candidate in python3.11 python3.12 python3.13 python3 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[123].*/bin/python3; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "No Python 3.11 to 3.13 with the venv module found: installing Debian's python3-venv" >&2
        apt-get update -qq >&2 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null || true
    fi
    if ! python=$(find_python); then
        echo "error: no Python 3.11, 3.12 or 3.13 with the venv module on PATH or under pyenv." \
            "Install one (on Debian: apt-get install python3-venv) and run make again." >&2
        exit 1
    fi
fi

exec "$python" "$here/tool_environment.py"
