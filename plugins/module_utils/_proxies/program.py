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


def flags(container: Container, name: str) -> list[str]:
    """All values of a command-line flag, in any spelling that Go's flag packages read (-x=v, --x=v, --x v)."""
    words = [*container.command, *container.args]
    values = []
    for index, word in enumerate(words):
        if word.lstrip("-").partition("=")[0] != name or not word.startswith("-"):
            continue
        _name, equals, after = word.partition("=")
        following = words[index + 1] if index + 1 < len(words) else ""
        values.append(after if equals else following)
    return [expanded(container, value) for value in values]


def flag(container: Container, name: str) -> str | None:
    """The value of a command-line flag; None where absent. The last one wins, as in Go."""
    return next(reversed(flags(container, name)), None)


def switch(container: Container, name: str) -> str | None:
    """The value of a boolean flag, which has none of its own where it stands alone: "true". None where absent."""
    words = [word for word in (*container.command, *container.args) if word.startswith("-")]
    values = [word.partition("=") for word in words if word.lstrip("-").partition("=")[0] == name]
    return (values[-1][2].lower() if values[-1][1] else "true") if values else None


def without_flag(args: list[str], name: str) -> list[str]:
    """The arguments without a flag that takes a value, in every spelling."""
    kept: list[str] = []
    skip = False
    for word in args:
        if skip:
            skip = False
        elif word.startswith("-") and word.lstrip("-").partition("=")[0] == name:
            skip = "=" not in word
        else:
            kept.append(word)
    return kept


def without_switch(args: list[str], name: str) -> list[str]:
    """The arguments without a boolean flag, which never takes the following word."""
    return [word for word in args if not (word.startswith("-") and word.lstrip("-").partition("=")[0] == name)]


def expanded(container: Container, text: str) -> str:
    """A text with `$(NAME)` replaced by the container's variables, as the kubelet does in command and args."""
    for name, value in container.env.items():
        if value is not None:
            text = text.replace(f"$({name})", value)
    return text


def last(image: str) -> str:
    """The last part of the image's repository: `quay.io/a/b:v1` -> `b`."""
    return repository(image).rpartition("/")[2]


def listening_port(address: str) -> int:
    """The port of a listening address: `8080`, `:8080`, `0.0.0.0:8080`, `[::]:8080`, `http://:8080`; 0 for others."""
    number = address.rstrip("/").rpartition(":")[2]
    return int(number) if number.isdigit() and number.isascii() and len(number) <= 5 else 0


def listens(container: Container, port: int, *address_flags: str) -> bool:
    """Whether a container declares a port, or names it in one of the flags that set its listening address."""
    if port in container.ports.values():
        return True
    addresses = (flag(container, name) for name in address_flags)
    return any(address is not None and listening_port(address) == port for address in addresses)
