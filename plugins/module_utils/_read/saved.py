# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot as one file: what a diagnosis saw, without secrets, to be judged again anywhere."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible_collections.meshops.istio_remediation.plugins.module_utils import _redact
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.question import InputError, Question
from ansible_collections.meshops.istio_remediation.plugins.module_utils._model.snapshot import (
    NOT_IN_SNAPSHOT,
    Answer,
    Need,
    Snapshot,
)

# Logs and configuration files in ConfigMaps are longer than any text that a report may hold.
LONGEST = 8 * 1024 * 1024
FORMAT, VERSION = "meshops.istio_remediation/snapshot", 1


class SavedReader:
    """Answers needs from a saved snapshot; what is not in it is unknown."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers

    def read(self, need: Need) -> Answer:
        """Answer one need."""
        return self._answers.get(need.key, Answer(problem=NOT_IN_SNAPSHOT))


def save(path: str, question: Question, snapshot: Snapshot) -> None:
    """Write a snapshot, readable for its owner alone; an older file is replaced at once or not at all.

    Raises InputError where the file cannot be written.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "asked": {"grafana": f"{question.grafana_kind}/{question.grafana_namespace}/{question.grafana_name}"},
        "answers": {key: _plain(answer) for key, answer in sorted(snapshot.answers().items())},
    }
    directory = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".snapshot-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"The snapshot cannot be written to {path}: {error.strerror}.") from error


def load(path: str) -> SavedReader:
    """A reader for a saved snapshot. Raises InputError for a file that is none."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise InputError(f"The snapshot {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is no snapshot: it is not JSON ({error}).") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no snapshot: it was not written by save_snapshot.")
    if document.get("version") != VERSION:
        raise InputError(
            f"{path} is a snapshot of version {document.get('version')}; this collection reads version {VERSION}."
        )
    try:
        return SavedReader({key: _answer(entry) for key, entry in document["answers"].items()})
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is a damaged snapshot: {error!r}.") from error


def _plain(answer: Answer) -> dict[str, Any]:
    cleaned: dict[str, Any] = _redact.plain(answer._asdict(), LONGEST)
    return cleaned


def _answer(entry: dict[str, Any]) -> Answer:
    return Answer(tuple(entry["objects"]), entry["text"], entry["problem"], entry["served"])
