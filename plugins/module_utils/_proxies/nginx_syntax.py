# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's configuration language: words, `;`, `{ … }`, quotes and comments. Nothing is interpreted here.

Source: nginx src/core/ngx_conf_file.c (ngx_conf_read_token): quotes open only at the start of a word, `#` likewise, a
backslash keeps the character that follows, `${` does not open a block.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Deeper than any file that a person writes.
MAX_DEPTH = 32
_TOKEN = re.compile(
    r"""
    (?P<space>\s+) | (?P<comment>\#[^\n]*) | (?P<end>[;{}])
    | "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>(?:\$\{|\\.|[^\s;{}"'\\])(?:\$\{[^}\s]*\}?|\\.|[^\s;{\\])*)
    """,
    re.VERBOSE | re.DOTALL,
)


class SyntaxProblemError(Exception):
    """The text is no nginx configuration. A phrase without a full stop."""


class Directive(NamedTuple):
    """block: the directives inside `{ … }`; None where it ends with `;`. place: the file, for people."""

    name: str
    args: tuple[str, ...]
    block: tuple[Directive, ...] | None
    place: str

    def inner(self, name: str) -> list[Directive]:
        """The directives of this name directly inside the block."""
        return [entry for entry in self.block or () if entry.name == name]


def parse(text: str, place: str) -> tuple[Directive, ...]:
    """The directives of a file. Raises SyntaxProblemError."""
    stack: list[tuple[list[str], list[Directive]]] = []
    words: list[str] = []
    found: list[Directive] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise SyntaxProblemError(f"line {text.count(chr(10), 0, position) + 1} is not understood")
        position = token.end()
        kind = token.lastgroup
        if kind in ("space", "comment"):
            continue
        if kind != "end":
            words.append(token[kind or 0])
        elif token[0] == ";":
            if words:
                found.append(Directive(words[0], tuple(words[1:]), None, place))
            words = []
        elif token[0] == "{" and words and words[0].endswith("_by_lua_block"):
            raise SyntaxProblemError(f"it has {words[0]}, which is not followed")
        elif token[0] == "{":
            if len(stack) == MAX_DEPTH:
                raise SyntaxProblemError(f"blocks are nested more than {MAX_DEPTH} deep")
            stack.append((words, found))
            words, found = [], []
        else:
            if not stack or words:
                raise SyntaxProblemError(f"line {text.count(chr(10), 0, position) + 1} closes a block that is not open")
            opening, outer = stack.pop()
            name, args = (opening[0], tuple(opening[1:])) if opening else ("", ())
            outer.append(Directive(name, args, tuple(found), place))
            words, found = [], outer
    if stack or words:
        raise SyntaxProblemError("its last statement does not end")
    return tuple(found)
