# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m catalogue.offline FOLDER``: judges saved snapshots again in a process that has no `kubernetes` package.

Prints {name of the snapshot: {which witnesses were left out: result}} as JSON.
"""

from __future__ import annotations

import importlib.abc
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from catalogue.compare import CONFIGURATION, EVERYTHING

ABSENT = ("kubernetes", "urllib3", "requests")


class Absent(importlib.abc.MetaPathFinder):
    """Makes packages look as if they were not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{fullname} is not there in this process", name=fullname)
        return None


def main(folder: Path) -> None:
    """Judge every snapshot of a folder."""
    sys.meta_path.insert(0, Absent())
    from catalogue.diagnosis import WITNESSES, diagnose

    left_out = {
        EVERYTHING: {},
        **({f"without {option}": {option: False} for option in WITNESSES} if len(WITNESSES) > 1 else {}),
        CONFIGURATION: dict.fromkeys(WITNESSES, False),
    }
    found = {
        path.stem: {name: diagnose(snapshot=str(path), **options) for name, options in left_out.items()}
        for path in sorted(folder.glob("*.json"))
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
