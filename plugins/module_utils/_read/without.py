# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there but for what a run removes first: a check that foresees the run does not count it either."""

from __future__ import annotations

from ansible_collections.meshops.istio_remediation.plugins.module_utils._model import objects
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import Answer, Need, Object
from ansible_collections.meshops.istio_remediation.plugins.module_utils._read.collect import Reader


class ReaderWithout:
    """Answers needs as the inner reader does, without the objects of one name and their pods."""

    def __init__(self, inner: Reader, name: str) -> None:
        self._inner, self._name = inner, name

    def read(self, need: Need) -> Answer:
        answer = self._inner.read(need)
        return answer._replace(objects=tuple(obj for obj in answer.objects if not self._removed(obj)))

    def _removed(self, obj: Object) -> bool:
        name = objects.name(obj)
        return name == self._name or name.startswith(f"{self._name}-")
