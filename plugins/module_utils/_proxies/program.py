# SPDX-License-Identifier: GPL-3.0-or-later
"""How a proxy kind looks at a container: its image, its command line, what it listens on."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container


def repository(image: str) -> str:
    """The image's repository without registry host, tag and digest: `quay.io/a/b:v1@sha256:…` -> `a/b`."""
    path = image.partition("@")[0]
    head, _slash, last = path.rpartition("/")
    path = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    first, _slash, rest = path.partition("/")
    return rest if rest and ("." in first or ":" in first or first == "localhost") else path


def tag(image: str) -> str:
    """The image's tag; "" where it has none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def version(image: str) -> tuple[int, int, int] | None:
    """The version in an image's tag, `v0.15.0` or `0.15.0-debian`; None where the tag is no version."""
    core = tag(image).lstrip("v").partition("-")[0].partition("+")[0].split(".")
    if len(core) != 3 or not all(part.isdigit() for part in core):
        return None
    return int(core[0]), int(core[1]), int(core[2])


def flag(container: Container, name: str) -> str | None:
    """The value of a command-line flag in any spelling that Go's flag package reads (-x=v, --x=v, --x v); None where
    absent.

    The last one wins, as in Go.
    """
    words = [*container.command, *container.args]
    value = None
    for index, word in enumerate(words):
        if word.lstrip("-").partition("=")[0] != name or not word.startswith("-"):
            continue
        _name, equals, after = word.partition("=")
        following = words[index + 1] if index + 1 < len(words) else ""
        value = after if equals else following
    return value


def listens(container: Container, port: int, *address_flags: str) -> bool:
    """Whether a container declares a port, or names it in one of the flags that set its listening address."""
    if port in container.ports.values():
        return True
    addresses = (flag(container, name) for name in address_flags)
    return any(address is not None and address.rpartition(":")[2] == str(port) for address in addresses)
