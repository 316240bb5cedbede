# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file, and every role, of this repository must keep to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LICENSED = frozenset({".go", ".j2", ".py", ".sh", ".toml", ".yaml", ".yml"})
# Files that somebody reads from top to bottom; the rest is generated or recorded.
READ = frozenset({".go", ".j2", ".py", ".sh"})
MAX_LINES = 350
# Text that is not ours to change.
FOREIGN = frozenset({"LICENSE", "GPL-3.0-or-later.txt"})
MARKS = (
    (re.compile(r"(?<![\w.:/}-])/(?:(?:root|work)/\w|home/\w\w)"), "names a path of one machine"),
    (
        re.compile(
            r"\b(?:pypi\.org|pythonhosted\.org|proxy\.golang\.org|sum\.golang\.org|npmjs\.org|deb\.debian\.org)\b"
        ),
        "names a package registry",
    ),
    (re.compile(r"\b(?:TODO|FIXME|XXX)\b"), "leaves work undone"),
    (re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)"), "silences a checker"),
)
# Only these have to spell out what they look for.
EXEMPT_FROM_MARKS = frozenset({Path("tests/tools/repository.py")})


def problems(path: Path, content: bytes) -> list[str]:
    """Return a sentence for everything that keeps the file at ``path`` from being published."""
    if path.name in FOREIGN:
        return []
    if b"\0" in content:
        return [f"{path} is binary"]
    lines = content.decode("utf-8").splitlines()
    found = []
    if lines and path.suffix in LICENSED and not any("SPDX-License-Identifier:" in line for line in lines[:4]):
        found.append(f"{path} names no licence in its first lines")
    if path.suffix in READ and len(lines) > MAX_LINES:
        found.append(f"{path} has {len(lines)} lines; split it ({MAX_LINES} are allowed)")
    if path not in EXEMPT_FROM_MARKS:
        for number, line in enumerate(lines, start=1):
            found += [f"{path} line {number} {problem}" for mark, problem in MARKS if mark.search(line)]
    return found


def disagreements(specs: Mapping[str, Any], defaults: Mapping[str, Any], role: str) -> list[str]:
    """Return a sentence for every variable on which a role's specification and its defaults differ.

    :param specs: entry point → specification, as in ``meta/argument_specs.yml``.
    :param defaults: the content of ``defaults/main.yml``. A required option has no default, every other one has.
    """
    options = {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}
    found = []
    for name in sorted({*options, *defaults}):
        option = options.get(name)
        if not name.startswith(f"{role}_"):
            found.append(f"{name} does not start with {role}_")
        if option is None:
            found.append(f"{name} is not specified")
        elif option.get("required"):
            if name in defaults:
                found.append(f"{name} is required and has a default")
        elif name not in defaults:
            found.append(f"{name} is no default")
        elif "default" in option and option["default"] != defaults[name]:
            found.append(f"{name} has the default {defaults[name]!r}, but {option['default']!r} is specified")
    return found
