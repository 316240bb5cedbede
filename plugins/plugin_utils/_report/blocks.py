# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report consists of, before anybody decides how it looks."""

from __future__ import annotations

from typing import NamedTuple


class Heading(NamedTuple):
    """The title of a section."""

    text: str


class Sentence(NamedTuple):
    """A paragraph. strong: it carries the message."""

    text: str
    strong: bool = False


class Item(NamedTuple):
    """An entry of a list. mark: what stands before it, such as ``-`` or ``1.``; level: 0 is the outermost list."""

    text: str
    level: int = 0
    mark: str = "-"


class Line(NamedTuple):
    """A line of a drawing: what stands before its text, and before the rest of it where it does not fit."""

    first: str
    later: str
    text: str


class Drawing(NamedTuple):
    """Lines whose layout matters."""

    lines: tuple[Line, ...]


class Command(NamedTuple):
    """Something to type. It stays on one line however long it is, so that it can be copied."""

    text: str


class Snippet(NamedTuple):
    """Lines to paste into a file, with their indentation. Like a command they are never wrapped."""

    lines: tuple[str, ...]


Block = Heading | Sentence | Item | Drawing | Command | Snippet
