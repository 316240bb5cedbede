# SPDX-License-Identifier: GPL-3.0-or-later
"""The little of TOML that proxies are configured with: tables, strings, arrays of strings, booleans.

Python's own tomllib came with 3.11, and this collection runs on 3.10. What is not understood is left out, so a caller
must treat an absent key as its default only after `unknown` has been looked at.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Of a line, and of an array over several lines. Longer ones are not understood.
LONGEST = 2048
_KEY = r"[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*'"
_STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'")
_TABLE = re.compile(rf"\[\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*\]$")
_ASSIGNMENT = re.compile(rf"((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*=\s*(.*)$", re.DOTALL)


class Settings(NamedTuple):
    """values: by full key, `backends.default.origin_url`; a string, a list of strings, or other values as written.

    unknown: the first line that is not understood; "" where all are.
    """

    values: dict[str, str | list[str]]
    unknown: str


def parse(text: str) -> Settings:
    values: dict[str, str | list[str]] = {}
    table = unknown = ""
    for line in _statements(text):
        header = _TABLE.match(line) if len(line) <= LONGEST else None
        assignment = _ASSIGNMENT.match(line) if len(line) <= LONGEST else None
        if header:
            table = f"{_dotted(header[1])}."
        elif assignment and not line.startswith("["):
            values[f"{table}{_dotted(assignment[1])}"] = _value(assignment[2])
        else:
            unknown = unknown or line[:80]
    return Settings(values, unknown)


def _statements(text: str) -> list[str]:
    """Lines without comments; the lines of an array are joined. What is too long is left as it is."""
    statements: list[str] = []
    depth = 0
    for line in text.splitlines():
        bare = _without_comment(line).strip() if len(line) <= LONGEST else line
        outside = _STRING.sub("", bare) if len(line) <= LONGEST else ""
        if depth and len(statements[-1]) <= LONGEST:
            statements[-1] += f" {bare}"
        elif bare:
            statements.append(bare)
        if depth or "=" in outside:
            depth = max(0, depth + outside.count("[") - outside.count("]"))
    return statements


def _without_comment(line: str) -> str:
    strings = [(found.start(), found.end()) for found in _STRING.finditer(line)]
    for found in re.finditer("#", line):
        if not any(start <= found.start() < end for start, end in strings):
            return line[: found.start()]
    return line


def _dotted(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _value(written: str) -> str | list[str]:
    strings = [double or single for double, single in _STRING.findall(written)]
    if written.startswith("["):
        return strings
    return strings[0] if written.startswith(('"', "'")) and strings else written.strip()
