# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache httpd's configuration language: directives, one a line, and sections in angle brackets.

Source: https://httpd.apache.org/docs/2.4/configuring.html (continuation by a backslash, comments), "Define"
(`${NAME}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_DEPTH = 32
_WORD = re.compile(r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+))")
_OPEN = re.compile(r"<(\w+)\s*([^>]*)>$")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SyntaxProblemError(Exception):
    """The text is no httpd configuration. A phrase without a full stop."""


class Directive(NamedTuple):
    """name: in lower case. args: its words. block: what stands inside a section; None for a directive."""

    name: str
    args: tuple[str, ...]
    block: tuple[Directive, ...] | None


def parse(text: str, variables: Mapping[str, str | None]) -> tuple[Directive, ...]:
    """The directives of a file. variables: the container's. Raises SyntaxProblemError."""
    known = {name: value for name, value in variables.items() if value is not None}
    stack: list[tuple[str, tuple[str, ...], list[Directive]]] = []
    found: list[Directive] = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        bare = _VARIABLE.sub(lambda name: known.get(name[1], name[0]), bare)
        opened = _OPEN.match(bare)
        if opened:
            if len(stack) == MAX_DEPTH:
                raise SyntaxProblemError(f"sections are nested more than {MAX_DEPTH} deep")
            stack.append((opened[1].lower(), _words(opened[2]), found))
            found = []
        elif bare.startswith("</"):
            name = bare[2:].rstrip("> ").lower()
            if not stack or stack[-1][0] != name:
                raise SyntaxProblemError(f"{bare} closes a section that is not open")
            name, args, outer = stack.pop()
            outer.append(Directive(name, args, tuple(found)))
            found = outer
        else:
            words = _words(bare)
            if words[:1] and words[0].lower() == "define" and len(words) == 3:
                known[words[1]] = words[2]
            found.append(Directive(words[0].lower(), words[1:], None))
    if stack:
        raise SyntaxProblemError(f"section {stack[-1][0]} does not end")
    return tuple(found)


def _words(text: str) -> tuple[str, ...]:
    words = (next(part for part in (*found.groups(), "") if part is not None) for found in _WORD.finditer(text))
    return tuple(word for word in words)
