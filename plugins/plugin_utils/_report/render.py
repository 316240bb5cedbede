# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks as lines for a terminal, or as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.blocks import (
    Block,
    Command,
    Drawing,
    Heading,
    Item,
    Sentence,
    Snippet,
)
from ansible_collections.meshops.istio_remediation.plugins.plugin_utils._report.inert import inert

# Ansible's default output puts 8 blanks and a quote before a line of a list, and a quote and a comma behind it.
WIDTH = 99

# Markup within a line; what is markup at its beginning alone never stands there.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>&|~])")


def to_lines(blocks: Iterable[Block], width: int = WIDTH) -> list[str]:
    """Return plain lines of at most ``width`` columns; only a Command may be longer. All text is made inert."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            lines += ["", *_wrap(block.text, "", "", width)]
        elif isinstance(block, Sentence):
            lines += _wrap(block.text, "", "", width)
        elif isinstance(block, Item):
            indent = "  " + "    " * block.level
            lines += _wrap(block.text, f"{indent}{block.mark} ", indent + " " * (len(block.mark) + 1), width)
        elif isinstance(block, Drawing):
            for line in block.lines:
                lines += _wrap(line.text, line.first, line.later, width)
        elif isinstance(block, Snippet):
            lines += [f"    {_indented(line)}" for line in block.lines]
        else:
            lines.append(f"  {inert(block.text)}")
    return lines


def _wrap(text: str, first: str, later: str, width: int) -> list[str]:
    wrapped = textwrap.wrap(
        inert(text), width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, tabsize=1
    )
    return wrapped or [first.rstrip()]


def to_markdown(blocks: Iterable[Block]) -> str:
    """Return a Markdown document in which text from the cluster is neither markup nor HTML."""
    parts: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"\n## {_plain(block.text)}\n")
        elif isinstance(block, Sentence):
            parts.append(f"**{_plain(block.text)}**\n" if block.strong else f"{_plain(block.text)}\n")
        elif isinstance(block, Item):
            mark = block.mark if block.mark[0].isdigit() else "-"
            parts.append(f"{'   ' * block.level}{mark} {_plain(block.text)}")
        elif isinstance(block, Drawing):
            drawn = "\n".join(f"{line.first}{inert(line.text)}".rstrip() for line in block.lines)
            parts.append(_fenced(drawn, "text"))
        elif isinstance(block, Snippet):
            parts.append(_fenced("\n".join(map(_indented, block.lines)), "yaml"))
        elif isinstance(block, Command):
            parts.append(_fenced(inert(block.text), "console"))
    return "\n".join(parts).strip() + "\n"


def _indented(line: str) -> str:
    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + inert(text)


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", inert(text))


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
