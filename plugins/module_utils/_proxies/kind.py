# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module of a proxy kind offers to the catalogue."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.objects import Container, Pod
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.relay import Arrival, Relay

Version = tuple[int, int, int]


class Seen(NamedTuple):
    """A query that reaches a container."""

    pod: Pod
    container: Container
    arrival: Arrival


class Kind(Protocol):
    """Every kind."""

    def recognise(self, container: Container) -> bool:
        """Whether this container runs the program."""

    def listens(self, container: Container, port: int) -> bool:
        """Whether it listens on this port, by what the pod alone says."""

    def relay(self, seen: Seen) -> Relay:
        """What it does with a query. Raises NotReadError."""


class HostArgument(NamedTuple):
    """The flag by which a program is told which Host to send.

    literal: its value is the Host; else it is a switch that makes the program send the host of its upstream's URL.
    since: the first version that knows it; None: every version does. program: where the published images keep the
    program, which can be asked for its flags. effect: what else the flag does, as a sentence.
    """

    flag: str
    literal: bool
    since: Version | None
    program: str
    effect: str


class ArgumentKind(Kind, Protocol):
    """A kind that is told on its command line which Host to send."""

    KIND: str
    ARGUMENT: HostArgument

    def with_host(self, args: list[str], host: str, /) -> list[str]:
        """The arguments with the flag set, in place of any that was set before."""

    def unable(self, container: Container, /) -> str:
        """Why this container cannot be given the flag, as a sentence; "" where it can."""
