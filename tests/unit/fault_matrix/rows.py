# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong at one API call, as data: what the API server does there, or when the run is killed.

Calls are counted from 0, reads, dry runs, access reviews, retries and streams included.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.meshops.istio_remediation.plugins.module_utils._kube.retry import TRANSIENT

# The API server answers so, in place of what it is asked for.
ANSWER = "answer"
# It does what it is asked for, but the connection breaks before the answer, or the answer is cut in half.
RESET, TRUNCATE = "reset", "truncate"
# The run ends there.
KILL_BEFORE, KILL_AFTER = "kill before", "kill after"

WRITES = frozenset({"POST", "PATCH", "DELETE"})
EVERYTHING = WRITES | {"GET"}


class Row(NamedTuple):
    """A fault. name: for people.

    methods   the calls that it strikes; where GET is not among them, access reviews are spared too
    lasting   whether it strikes every such call from there on
    code, reason, message   of the Status that is answered
    """

    name: str
    does: str
    methods: frozenset[str] = EVERYTHING
    lasting: bool = False
    code: int = 0
    reason: str = ""
    message: str = ""

    @property
    def kills(self) -> bool:
        """Whether the run ends there."""
        return self.does in (KILL_BEFORE, KILL_AFTER)

    @property
    def passes(self) -> bool:
        """Whether asking once more is enough to get past it."""
        return self.code in TRANSIENT and not self.lasting

    def strikes(self, index: int, number: int, method: str, path: str) -> bool:
        """Whether it strikes the call with this number, where it is to strike the one with this index."""
        due = number == index or (self.lasting and number > index)
        spared = "GET" not in self.methods and "/authorization.k8s.io/" in path
        return due and method in self.methods and not spared


PATCHES = frozenset({"PATCH"})
DENIED = 'admission webhook "gate.example.com" denied the request: not today'
CONFLICT = "the object has been modified"
DOWN = "apiserver is shutting down"
ROWS = (
    Row("killed before the call", KILL_BEFORE),
    Row("killed after the call", KILL_AFTER),
    Row("409 to a write", ANSWER, WRITES, code=409, reason="Conflict", message=CONFLICT),
    Row("429 with Retry-After", ANSWER, code=429, reason="TooManyRequests", message="too many requests"),
    Row("500", ANSWER, code=500, reason="InternalError", message="etcdserver: leader changed"),
    Row("503", ANSWER, code=503, reason="ServiceUnavailable", message=DOWN),
    Row("503 from here on", ANSWER, lasting=True, code=503, reason="ServiceUnavailable", message=DOWN),
    Row("reset after the server committed", RESET),
    Row("truncated JSON", TRUNCATE),
    Row("403 to patch", ANSWER, PATCHES, code=403, reason="Forbidden", message="cannot patch"),
    Row("403 to patch from here on", ANSWER, PATCHES, True, 403, "Forbidden", "cannot patch"),
    Row("a webhook denies", ANSWER, WRITES, code=403, reason="Forbidden", message=DENIED),
)
