# SPDX-License-Identifier: GPL-3.0-or-later
"""The Caddyfile: lines of words, some with a block. Nothing is interpreted here.

Source: https://caddyserver.com/docs/caddyfile/concepts (structure, tokens and quotes, `{$ENV:default}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_DEPTH = 32
_VARIABLE = re.compile(r"\{\$(\w+)(?::([^}\n]{0,200}))?\}")
_TOKEN = re.compile(
    r"""
    (?P<newline>\n) | (?P<space>[^\S\n]+|\\\n) | (?P<comment>\#[^\n]*) | (?P<heredoc><<\w+)
    | "(?P<double>(?:[^"\\]|\\.)*)" | `(?P<back>[^`]*)` | (?P<word>[^\s"`](?:\\\S|[^\s\\])*)
    """,
    re.VERBOSE | re.DOTALL,
)


class SyntaxProblemError(Exception):
    """The text is no Caddyfile. A phrase without a full stop."""


class Line(NamedTuple):
    """block: the lines between `{` at its end and the matching `}`; None without."""

    words: tuple[str, ...]
    block: tuple[Line, ...] | None


def parse(text: str, variables: Mapping[str, str | None]) -> tuple[Line, ...]:
    """The lines of a file. variables: the container's. Raises SyntaxProblemError."""
    text = _VARIABLE.sub(lambda found: _value(found, variables), text)
    stack: list[tuple[list[str], list[Line]]] = []
    words: list[str] = []
    found: list[Line] = []
    for token in [*_tokens(text), "\n"]:
        if token == "{":
            if len(stack) == MAX_DEPTH:
                raise SyntaxProblemError(f"blocks are nested more than {MAX_DEPTH} deep")
            stack.append((words, found))
            words, found = [], []
        elif token == "}":
            if words:
                found.append(Line(tuple(words), None))
            if not stack:
                raise SyntaxProblemError("a block is closed that is not open")
            opening, outer = stack.pop()
            outer.append(Line(tuple(opening), tuple(found)))
            words, found = [], outer
        elif token != "\n":
            words.append(token)
        elif words and not words[-1].endswith(","):
            found.append(Line(tuple(words), None))
            words = []
    if stack:
        raise SyntaxProblemError("a block does not end")
    return tuple(found)


def _value(found: re.Match[str], variables: Mapping[str, str | None]) -> str:
    # A variable that is set where this cannot look stays as it is, and is refused where it decides something.
    known = variables.get(found[1])
    return known if known is not None else found[2] if found[2] is not None and found[1] not in variables else found[0]


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise SyntaxProblemError(f"line {text.count(chr(10), 0, position) + 1} has a quote that does not end")
        position = token.end()
        kind = token.lastgroup or ""
        if kind == "heredoc":
            raise SyntaxProblemError("it has a heredoc, which is not followed")
        if kind not in ("space", "comment"):
            tokens.append(token[kind])
    return tokens
