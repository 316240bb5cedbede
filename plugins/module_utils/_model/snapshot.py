# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a cluster: answers to named needs, and nothing else.

Judging is pure, reading is not, and a path can only be read hop by hop: which Pod to ask for next follows from what the
last one said. So the judge runs on what is known so far and raises `NotReadError` with all that it needs next; the room
`_read` fetches that and runs the judge again. A saved snapshot, a live cluster and a test therefore go through the same
code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

# A Kubernetes object as the API server sends it, decoded from JSON.
Object = dict[str, Any]
T = TypeVar("T")

NOT_IN_SNAPSHOT = "was not saved in this snapshot"


class Need(NamedTuple):
    """One question to a cluster. `key` names it in a snapshot.

    verb       get | list (Kubernetes objects), log (a container's log), help (what `<command>` prints as its usage, run
               in a container), grafana (GET `name`, a path of Grafana's HTTP API), envoy (what a sidecar runs on: one
               object as _model.envoy_plain makes it, limited to names that match the regular expression `command[0]`),
               owner (apiVersion, kind and metadata of what owns something in `namespace`; it may be of any kind, of the
               apiVersion `command[0]`)
    kind       the Kubernetes kind; MeshConfig is the decoded `mesh` key of Istio's ConfigMap, DataSource and
               SecretDataSource the decoded entries of Grafana's provisioning ConfigMaps and Secrets (those that `name`
               lists, and those with the label `selector`), ConfigDocuments a ConfigMap whose keys are decoded as YAML
    namespace  "" asks the whole cluster
    selector   a label selector, `list` only
    """

    verb: str
    kind: str
    namespace: str = ""
    name: str = ""
    selector: str = ""
    container: str = ""
    command: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        parts = [self.verb, self.kind, self.namespace or "*", self.name, self.selector, self.container, *self.command]
        return " ".join(part for part in parts if part)


class Answer(NamedTuple):
    """What the cluster said to a need.

    objects  `get`: one object, or none where it does not exist; `list`: all of them
    text     log and help: what was printed
    problem  why the answer is not complete, as a sentence without a full stop; "" means complete. A judge must treat an
             answer with a problem as unknown, never as empty.
    served   False: the API server does not serve this kind (its CustomResourceDefinition is not installed)
    """

    objects: tuple[Object, ...] = ()
    text: str = ""
    problem: str = ""
    served: bool = True


class NotReadError(Exception):
    """The judge cannot go on before these needs are answered."""

    def __init__(self, needs: Iterable[Need]) -> None:
        self.needs = tuple(needs)
        super().__init__(", ".join(need.key for need in self.needs))


class Snapshot:
    """Answers by need; immutable, so that a prediction can lay a change over it without touching the original."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, complete: bool = False) -> None:
        """answers: by `Need.key`.

        complete: nothing more can be read (a saved snapshot), so what is absent is unknown.
        """
        self._answers: dict[str, Answer] = dict(answers or {})
        self._complete = complete
        self._derived: dict[tuple[Need, ...], Any] = {}

    def require(self, *needs: Need) -> tuple[Answer, ...]:
        """The answers to all these needs.

        Raises NotReadError with every one that is still open, so that they are read together.
        """
        missing = [need for need in needs if need.key not in self._answers]
        if missing and not self._complete:
            raise NotReadError(missing)
        return tuple(self._answers.get(need.key, Answer(problem=NOT_IN_SNAPSHOT)) for need in needs)

    def ask(self, need: Need) -> Answer:
        """The answer to one need. Raises NotReadError where it is still open."""
        return self.require(need)[0]

    def derived(self, needs: tuple[Need, ...], compute: Callable[[tuple[Answer, ...]], T]) -> T:
        """What `compute` makes of these answers, made once; a snapshot that extends this one goes on using it.

        For what is large: give one set of needs to one function only. Raises NotReadError.
        """
        if needs not in self._derived:
            self._derived[needs] = compute(self.require(*needs))
        made: T = self._derived[needs]
        return made

    def extended(self, answers: Mapping[str, Answer]) -> Snapshot:
        """A new snapshot that also holds these answers; an answer under a known key replaces the old one."""
        new = Snapshot({**self._answers, **answers}, self._complete)
        new._derived = {
            needs: made for needs, made in self._derived.items() if not any(need.key in answers for need in needs)
        }
        return new

    def answers(self) -> Mapping[str, Answer]:
        """All answers by `Need.key`."""
        return dict(self._answers)

    def problems(self) -> dict[str, str]:
        """Why each incomplete answer is incomplete, by `Need.key`."""
        return {key: answer.problem for key, answer in self._answers.items() if answer.problem}
