# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's configuration language: sections of lines, each line a list of words. Nothing is interpreted here.

Source: HAProxy configuration manual, 2.2 "Quoting and escaping" and 2.3 "Environment variables".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

SECTIONS = ("global", "defaults", "frontend", "backend", "listen")
# Sections that play no part in where a request goes.
_OTHER = (
    *("userlist", "peers", "mailers", "program", "resolvers", "ring", "cache", "http-errors", "log-forward"),
    *("fcgi-app", "traces", "crt-store", "log-profile", "acme"),
)
_WORD = re.compile(
    r"""\s*(?P<word>(?:\\.|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s\\"'#])(?:\\.|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s\\"'#])*)|\s*(?:\#.*)?$""",
    re.DOTALL,
)
_PART = re.compile(r"""\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\\"']+)""", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?:\[\*\])?\}|(\w+))")


class SyntaxProblemError(Exception):
    """The text is no HAProxy configuration. A phrase without a full stop."""


class Section(NamedTuple):
    """kind: one of SECTIONS, or "" for others. name: its name, "" without. lines: the words of each line."""

    kind: str
    name: str
    lines: tuple[tuple[str, ...], ...]
    place: str

    def all(self, *words: str) -> list[tuple[str, ...]]:
        """What follows these words in every line that begins with them."""
        return [line[len(words) :] for line in self.lines if line[: len(words)] == words]


def parse(text: str, place: str, variables: Mapping[str, str | None]) -> list[Section]:
    """The sections of a file. variables: the container's. Raises SyntaxProblemError."""
    sections: list[Section] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line, number, variables)
        if not words:
            continue
        if words[0].startswith("."):
            raise SyntaxProblemError(f"line {number} uses {words[0]}, which is not followed")
        if words[0] in SECTIONS or words[0] in _OTHER:
            kind = words[0] if words[0] in SECTIONS else ""
            sections.append(Section(kind, words[1] if len(words) > 1 else "", (), place))
        elif sections:
            last = sections[-1]
            sections[-1] = last._replace(lines=(*last.lines, words))
        else:
            raise SyntaxProblemError(f"line {number} stands outside of any section")
    return sections


def _words(line: str, number: int, variables: Mapping[str, str | None]) -> tuple[str, ...]:
    words: list[str] = []
    position = 0
    while position < len(line):
        found = _WORD.match(line, position)
        if found is None:
            raise SyntaxProblemError(f"line {number} has a quote that does not end")
        if found["word"] is None:
            break
        words.append("".join(_unquoted(part, variables) for part in _PART.finditer(found["word"])))
        position = found.end()
    return tuple(words)


def _unquoted(part: re.Match[str], variables: Mapping[str, str | None]) -> str:
    if part[2] is None:
        return next(text for text in (part[1], part[3], part[4], "") if text is not None)
    # Variables are replaced between double quotes alone.
    return _VARIABLE.sub(lambda name: variables.get(name[1] or name[2]) or name[0], part[2])
